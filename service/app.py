"""The one place where the parts meet.

Law: everything is put together here, from the settings, and nowhere else.
"""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from service import logs
from service.api import (
    audit,
    auditing,
    cds_feedback,
    cds_hooks,
    deliveries,
    description,
    episodes,
    escalation,
    etags,
    feeds,
    fhir,
    flags,
    guard,
    health,
    history,
    hl7v2,
    keys,
    knowledge,
    metrics,
    panels,
    problems,
    requests,
    sources,
    subscriptions,
)
from service.api.provider import OrjsonProvider
from service.catalogue.load import load
from service.config import Settings
from service.delivery.door import channels
from service.flows.means import Means
from service.flows.signing_in import Limits
from service.pages import docs, flag, sign_in
from service.pages.oidc import Provider
from service.storage.database import Database


def means_from(settings: Settings) -> Means:
    """The database and the catalogue that the settings name. Raises ``BadCatalogue``."""
    database = Database.open(
        settings.database_url, pool_size=settings.pool_size, timeout=settings.database_timeout_seconds
    )
    return Means(database=database, catalogue=load(settings.ruleset), keep_names=settings.keep_names)


def create_app(settings: Settings, means: Means | None = None) -> Flask:
    """The service as a WSGI app. ``means`` may be handed in by who has them already."""
    logs.configure(settings)
    app = Flask("service", static_folder=None)
    app.json = OrjsonProvider(app)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.config["PUBLIC_URL"] = settings.public_url
    app.config["REMEMBER_HOURS"] = settings.remember_hours
    app.config["HL7_HTTP_STATUS"] = settings.hl7_http_status
    app.extensions["lab_alerts"] = means or means_from(settings)
    app.extensions["lab_alerts_senders"] = channels(settings)
    app.extensions["lab_alerts_sessions"] = Limits(
        hours=settings.session_hours, idle_minutes=settings.session_idle_minutes
    )
    app.extensions["lab_alerts_oidc"] = Provider(settings) if settings.oidc_issuer else None
    requests.register(app)
    metrics.register(app)
    auditing.register(app)
    etags.register(app)
    guard.register(app)
    problems.register(app)
    document = description.register(
        app,
        [
            panels.door,
            flags.door,
            history.door,
            episodes.door,
            hl7v2.door,
            keys.door,
            knowledge.door,
            sources.door,
            subscriptions.door,
            deliveries.door,
            escalation.door,
            feeds.door,
            audit.door,
            cds_feedback.door,
            health.door,
            metrics.door,
        ],
    )
    fhir.register(app)
    cds_hooks.register(app, settings)
    docs.register(app, document)
    app.register_blueprint(flag.page)
    sign_in.register(app)
    if settings.trusted_proxies:
        _trust(app, settings.trusted_proxies)
    return app


def _trust(app: Flask, hops: int) -> None:
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=hops, x_prefix=hops)  # type: ignore[method-assign]  # Flask documents this way of wrapping
