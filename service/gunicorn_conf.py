"""gunicorn's configuration: ``gunicorn --config python:service.gunicorn_conf wsgi:app``.

Its one law: every number that an operator may change comes from Settings; the others are fixed here, with the
reason. gunicorn takes those of the names below that are names of its own settings.
"""

import os
import re
import shutil
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

from prometheus_client import values

from service import beside, logs
from service.config import Settings, SettingsError
from service.worker import Worker


def _settings() -> Settings:
    try:
        return Settings.from_environ(os.environ)
    except SettingsError as error:
        # gunicorn would print a traceback and its own words around this one.
        raise SystemExit(str(error)) from None


_chosen = _settings()


class _Worker(Worker):
    patience = _chosen.client_timeout_seconds


wsgi_app = "wsgi:app"
bind = [_chosen.bind]
# The processors that this process may use, which in a container can be fewer than the machine has.
workers = _chosen.worker_count(len(os.sched_getaffinity(0)))
worker_class = _Worker
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
# The kernel would send a file without looking at the time that its client is waited for.
sendfile = False

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


# The workers count into files of one folder, so that whichever of them is asked knows the numbers of all. The library
# reads the folder's name from the environment; an operator may name one there.
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_OWN = "lab-alerts-metrics-"
_COUNTED = re.compile(r"(counter|histogram)_\d+\.db")


def on_starting(_server: Any) -> None:
    """Name the folder, empty, before the first worker is made."""
    given = os.environ.get(_FOLDER)
    # A program that replaces a running one (USR2) inherits that one's folder, which is still in use.
    if given is None or Path(given).name.startswith(_OWN):
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix=_OWN, dir=worker_tmp_dir)
        return
    try:
        _empty(Path(given))
    except OSError as error:
        raise SystemExit(f"{_FOLDER}: names a folder that cannot be used ({error.strerror})") from None


def _empty(folder: Path) -> None:
    """Remove what an earlier run has counted, and nothing else: a database may stand in the same folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if _COUNTED.fullmatch(old.name):
            old.unlink()


def pre_fork(server: Any, worker: Any) -> None:
    """Give a worker the smallest number that no living one has.

    The files are named by it. One that takes the place of another goes on counting in that one's files, so that nothing
    is lost and there are never more files than there were workers at one time.
    """
    taken = {other.number for other in server.WORKERS.values()}
    worker.number = next(number for number in count() if number not in taken)


def post_fork(_server: Any, worker: Any) -> None:
    """Let the worker count into its files. Must be done before it loads the service, which makes the counters."""
    values.ValueClass = values.MultiProcessValue(lambda: worker.number)


_FAREWELL = 10  # seconds that the dispatcher is waited for; then it ends by itself, as its parent is no more


def when_ready(server: Any) -> None:
    """Start a dispatcher beside the workers."""
    server.beside = beside.start(_chosen) if _chosen.dispatch else None


def on_exit(server: Any) -> None:
    """End the dispatcher, and take the folder away, if it is ours."""
    if getattr(server, "beside", None) is not None:
        beside.end(server.beside, _FAREWELL)
    folder = Path(os.environ.get(_FOLDER, ""))
    if folder.name.startswith(_OWN):
        shutil.rmtree(folder, ignore_errors=True)
