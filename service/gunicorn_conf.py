"""gunicorn's configuration: ``gunicorn --config python:service.gunicorn_conf wsgi:app``.

Its one law: every number that an operator may change comes from Settings; the others are fixed here, with the
reason. gunicorn takes those of the names below that are names of its own settings.
"""

import os
from pathlib import Path

from service import logs
from service.config import Settings, SettingsError


def _settings() -> Settings:
    try:
        return Settings.from_environ(os.environ)
    except SettingsError as error:
        # gunicorn would print a traceback and its own words around this one.
        raise SystemExit(str(error)) from None


_chosen = _settings()

wsgi_app = "wsgi:app"
bind = [_chosen.bind]
# The processors that this process may use, which in a container can be fewer than the machine has.
workers = _chosen.worker_count(len(os.sched_getaffinity(0)))
worker_class = "gthread"
threads = _chosen.threads
timeout = _chosen.request_timeout_seconds
graceful_timeout = _chosen.graceful_seconds
# Longer than the 60 seconds that common load balancers keep an idle connection: who opened it closes it.
keepalive = 65
# Each worker opens its own database connections: loading before the fork would share them.
preload_app = False
# The heartbeat file must not wait for a disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  gunicorn's own advice for containers
# It would be written to the home folder, which a read-only container does not have.
control_socket_disable = True

# A request line holds at most one patient id and one page cursor; a header field at most one key or token.
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190
# X-Forwarded headers are judged in service.app, against the number of trusted proxies.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

# No access log: paths carry patient ids. service.app writes a line for each request, with the route instead.
accesslog = None
# Below info gunicorn writes the request line.
loglevel = "info" if _chosen.log_level == "debug" else _chosen.log_level
logconfig_dict = logs.logging_config(_chosen)

logs.configure(_chosen)
