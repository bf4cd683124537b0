"""Reading requests: media types, preferences, queries and cursors.

Law: what is not understood is refused with its name; nothing is ignored but headers.
"""

import base64
import binascii
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NoReturn

from flask import Request, current_app, request, url_for
from marshmallow import RAISE, Schema, ValidationError, fields
from marshmallow.validate import OneOf, Range
from webargs.flaskparser import FlaskParser
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from service.api.guard import now
from service.api.problems import Refused
from service.domain.episodes import EpisodeState
from service.domain.errors import BadInput, Fault
from service.domain.rules import Finding, Severity
from service.domain.subscriptions import ALL_TYPES, TEST_TYPE, DeliveryState
from service.formats.strict_json import usable
from service.storage.audit import AuditFilter
from service.storage.delivery_reading import DeliveryFilter
from service.storage.episodes import ListFilter
from service.storage.history import FlagFilter, Place
from service.storage.searching import EpisodeSearch, FlagSearch, ResultSearch
from service.storage.subscriptions import SubscriptionFilter
from service.storage.tables import FLAG_STATES
from service.storage.timeline import EpisodeFilter, TimelineFilter

Filter = (
    AuditFilter
    | DeliveryFilter
    | FlagFilter
    | ListFilter
    | SubscriptionFilter
    | TimelineFilter
    | EpisodeFilter
    | FlagSearch
    | EpisodeSearch
    | ResultSearch
)

_KIND = "invalid-query"
PAGE = 50
MAX_PAGE = 200


def media_type(accepted: Sequence[str]) -> str:
    """The media type of the body, which must be one of those accepted and not encoded any further."""
    if request.mimetype not in accepted:
        told = f"send Content-Type: {' or '.join(accepted)}"
        raise Refused("unsupported-media-type", told, headers={"Accept-Post": ", ".join(accepted)})
    if request.content_encoding:
        raise Refused("unsupported-media-type", "send the body without Content-Encoding")
    return request.mimetype


def body() -> bytes:
    """The bytes of the request."""
    sent = request.get_data(cache=False)
    # A body of unsaid length is cut off at the limit without a word; what is left of it tells.
    if request.content_length is None and _more():
        raise RequestEntityTooLarge
    return sent


def _more() -> bool:
    """Is there something left of the body?"""
    try:
        return bool(request.environ["wsgi.input"].read(1))
    except OSError:
        raise ClientDisconnected from None


def strict_handling() -> bool:
    """Was ``Prefer: handling=strict`` sent (RFC 7240)?"""
    preferences = request.headers.get("Prefer", "").lower().split(",")
    return any(one.partition(";")[0].replace(" ", "").replace('"', "") == "handling=strict" for one in preferences)


class QueryParser(FlaskParser):
    """Reads queries with a schema, and refuses them as a problem."""

    def parse(self, argmap: Any, req: Request | None = None, **options: Any) -> Any:
        """The parameters. Without any they are the defaults, which are found once."""
        defaults = None if request.args else _defaults(argmap)
        return super().parse(argmap, req, **options) if defaults is None else dict(defaults)

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        """The parameters; one that may stand once and stands twice is a fault, for nobody knows which was meant."""
        lists = {name for name, field in schema.fields.items() if isinstance(field, fields.List)}
        twice = [name for name, values in req.args.lists() if len(values) > 1 and name not in lists]
        if twice:
            detail = "stands more than once"
            raise BadInput([Fault(pointer=name, code="parameter-invalid", detail=detail) for name in twice], kind=_KIND)
        return super().load_querystring(req, schema)

    def handle_error(self, error: ValidationError, req: Request, schema: Schema, **_: Any) -> NoReturn:
        messages: Any = error.messages
        faults = [_fault(name, said[0], schema) for name, said in _flat(messages.get("query", messages))]
        raise BadInput(faults, kind=_KIND)


@lru_cache
def _defaults(schema: Schema) -> Mapping[str, Any] | None:
    """What a query without parameters means; None when it lacks one."""
    lacks = any(field.required for field in schema.fields.values())
    return None if lacks else schema.load({})


def _flat(messages: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    return [
        (name, said if isinstance(said, list) else [next(iter(said.values()))[0]]) for name, said in messages.items()
    ]


def _fault(name: str, said: str, schema: Schema) -> Fault:
    if said != "Unknown field.":
        return Fault(pointer=name, code="parameter-invalid", detail=said)
    known = [field.data_key or plain for plain, field in schema.fields.items()]
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}" if known else None
    return Fault(pointer=name, code="parameter-unknown", detail="is not a parameter here", hint=hint)


class Query(Schema):
    """A query in which nothing unknown may stand."""

    class Meta:
        unknown = RAISE


class PanelQuery(Query):
    """Parameters of sending a panel."""

    dry_run = fields.Boolean(
        load_default=False,
        error_messages={"invalid": "is neither true nor false"},
        metadata={"description": "Judge the panel beside what is held, and keep nothing of it."},
    )


class Moment(fields.AwareDateTime):
    """A time that must say its offset."""

    default_error_messages = {
        "invalid": "is not a time; write for example 2026-11-20T08:12:00Z",
        "invalid_awareness": "has no offset; write for example 2026-11-20T08:12:00Z (a plus sign is %2B in a query)",
    }

    def _deserialize(self, value: Any, *rest: Any, **options: Any) -> datetime:
        try:
            return super()._deserialize(value, *rest, **options).astimezone(UTC)
        except OverflowError:
            raise self.make_error("invalid", input=value, obj_type="datetime") from None


def _not_to_come(moment: datetime) -> None:
    if moment > now():
        raise ValidationError("is in the future")


def _as_known_at() -> Moment:
    told = "Answer as it was known at this moment, with nothing that was received later."
    return Moment(validate=_not_to_come, metadata={"description": told})


def _listed(choices: Any, description: str) -> fields.List[str]:
    words = fields.String(validate=OneOf([str(choice) for choice in choices], error="accepted: {choices}"))
    return fields.List(words, metadata={"description": description, "explode": True})


class PageQuery(Query):
    """Parameters of whatever is answered in pages."""

    authority = fields.String(metadata={"description": "Assigning authority of the patient's identifier."})
    limit = fields.Integer(load_default=PAGE, validate=Range(1, MAX_PAGE), metadata={"description": "Items in a page."})
    cursor = fields.String(metadata={"description": "Where the page begins: taken from the next link."})


class FlagQuery(PageQuery):
    """Parameters of a flag history."""

    finding = _listed(Finding, "Only these findings; may be repeated.")
    severity = _listed(Severity, "Only these severities; may be repeated.")
    state = _listed(FLAG_STATES, "Only these states; may be repeated.")
    source = fields.List(fields.String(), metadata={"description": "Only flags from these sources; may be repeated."})
    collected_from = Moment(metadata={"description": "Only results collected at this time or later."})
    collected_to = Moment(metadata={"description": "Only results collected at this time or earlier."})
    as_known_at = _as_known_at()


class AllFlagsQuery(FlagQuery):
    """Parameters of the flag history of everybody."""

    patient = fields.String(metadata={"description": "Only this patient, by identifier."})


class TimelineQuery(PageQuery):
    """Parameters of a patient's timeline."""

    analyte = fields.List(fields.String(), metadata={"description": "Only these analytes; may be repeated."})
    collected_from = Moment(metadata={"description": "Only results collected at this time or later."})
    collected_to = Moment(metadata={"description": "Only results collected at this time or earlier."})
    as_known_at = _as_known_at()
    order = fields.String(
        load_default="newest",
        validate=OneOf(["newest", "oldest"], error="accepted: {choices}"),
        metadata={"description": "Which collection comes first."},
    )


class EpisodeQuery(PageQuery):
    """Parameters of a patient's episodes."""

    finding = _listed(Finding, "Only these findings; may be repeated.")
    state = _listed(EpisodeState, "Only these states; may be repeated.")


class ListQuery(Query):
    """Parameters of a list that belongs to one thing."""

    limit = fields.Integer(load_default=PAGE, validate=Range(1, MAX_PAGE), metadata={"description": "Items in a page."})
    cursor = fields.String(metadata={"description": "Where the page begins: taken from the next link."})


class DeliveryQuery(Query):
    """Parameters of the deliveries of a subscription."""

    state = _listed(DeliveryState, "Only these states; may be repeated.")
    type = _listed((*ALL_TYPES, TEST_TYPE), "Only these events; may be repeated.")
    flag = fields.String(metadata={"description": "Only what is about this flag."})
    episode = fields.String(metadata={"description": "Only what is about this episode."})
    since = Moment(metadata={"description": "Only what was put on its way at this time or later."})
    limit = fields.Integer(load_default=PAGE, validate=Range(1, MAX_PAGE), metadata={"description": "Items in a page."})
    cursor = fields.String(metadata={"description": "Where the page begins: taken from the next link."})


def timeline_filter(query: Mapping[str, Any], patient: str) -> TimelineFilter:
    """The filter that a query of a timeline asks for."""
    names = ("analyte", "collected_from", "collected_to", "as_known_at")
    chosen = {name: query[name] for name in names if name in query}
    return TimelineFilter(patient=patient, oldest_first=query["order"] == "oldest", **chosen)


def flag_filter(query: Mapping[str, Any], patient: str | None) -> FlagFilter:
    """The filter that a query asks for."""
    names = ("finding", "severity", "state", "source", "collected_from", "collected_to", "as_known_at")
    return FlagFilter(patient=patient, **{name: query[name] for name in names if name in query})


def cursor_after(query: Mapping[str, Any], wanted: Filter) -> Place | None:
    """Where a page begins. Raises ``Refused`` when the cursor is not one, or is of another query."""
    sent = query.get("cursor")
    if sent is None:
        return None
    try:
        at, name, bound = json.loads(base64.b64decode(sent + "=" * (-len(sent) % 4), altchars=b"-_", validate=True))
        place = datetime.fromisoformat(at).astimezone(UTC), str(name)
    except (ValueError, TypeError, binascii.Error, OverflowError, RecursionError):
        raise Refused("invalid-cursor", "the cursor cannot be read") from None
    if not usable(place[1]):
        raise Refused("invalid-cursor", "the cursor cannot be read")
    if bound != _digest(wanted):
        raise Refused("invalid-cursor", "the cursor belongs to a query with other filters")
    return place


def cursor_for(place: Place, wanted: Filter) -> str:
    """The cursor of the page that begins after a place."""
    text = json.dumps([place[0].isoformat(), place[1], _digest(wanted)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _digest(wanted: Filter) -> str:
    said = [type(wanted).__name__, *(_plain(getattr(wanted, one.name)) for one in dataclasses.fields(wanted))]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def _plain(part: Any) -> Any:
    return sorted(part) if isinstance(part, list | tuple) else str(part)


def next_page(cursor: str) -> str:
    """The absolute address of this request with another cursor (RFC 8288), under the public address if there is one."""
    query = MultiDict(request.args)
    query["cursor"] = cursor
    public: str | None = current_app.config["PUBLIC_URL"]
    parameters = {**query.to_dict(flat=False), **(request.view_args or {})}
    address = url_for(request.endpoint or "", _external=public is None, **parameters)
    return f"{public or ''}{address}"
