"""The log: one JSON object a line on standard output, ours and that of every library alike.

Its one law: identity and measured values never get in. An exception is therefore logged as type, code and
frames, without its text (a database repeats the row in it) and without variables; a library's record loses
its text when it comes with an exception (Flask and gunicorn put the path in, and paths carry patient ids);
and a value of an unknown type is logged as the name of that type.
"""

import errno
import logging
import logging.config
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from service.config import Settings, SettingsError
from service.domain.errors import BadCatalogue

# Below a warning these write addresses, statements and parameters.
_TALKATIVE = ("alembic", "sqlalchemy", "werkzeug", "urllib3")
_FIRST = ("timestamp", "level", "event", "request_id")
_MAX_FRAMES = 40
# The text of these speaks of the program and its set-up only; without it, a failed start is a riddle.
_HARMLESS = (ImportError, SettingsError, BadCatalogue)
_ROOT = Path(__file__).resolve().parent.parent
# gunicorn repeats the bytes of a request that it could not read after these words.
_UNREADABLE = "Invalid request"
# Python's standard output may lose a line when threads write at the same time. One thread may write while it writes: a
# signal comes in between.
_WRITING = threading.RLock()


class StandardOutput(logging.StreamHandler[TextIO]):
    """Writes to what standard output is when the line is written: whoever redirects it later has the lines, too."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self.stream = sys.stdout
        with _WRITING:
            super().emit(record)


class _Lines:
    """Where our own lines go: to the same place, without a record of the standard library around each."""

    def msg(self, line: str) -> None:
        """Write one line, in one piece. One that cannot be written is lost, as a record is: a request goes on."""
        with _WRITING, suppress(OSError, ValueError):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    debug = info = warning = error = critical = msg


def configure(settings: Settings) -> None:
    """Set up structlog and the standard logging of this process. Doing it again replaces it."""
    logging.config.dictConfig(logging_config(settings))
    # A record that cannot be written would otherwise be repeated on standard error with all its arguments.
    logging.raiseExceptions = False
    structlog.configure(
        processors=[*_shared(), _renderer(console=settings.log_format == "console")],
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def logging_config(settings: Settings) -> dict[str, Any]:
    """The standard library's logging configuration: one handler, on standard output. gunicorn's, too."""
    level = settings.log_level.upper()
    quiet = max(level, "WARNING", key=logging.getLevelName)
    quiet_enough = max(level, "INFO", key=logging.getLevelName)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": "service.logs.formatter", "console": settings.log_format == "console"}},
        "handlers": {"stdout": {"class": "service.logs.StandardOutput", "formatter": "line"}},
        "root": {"level": level, "handlers": ["stdout"]},
        "loggers": {
            **{name: {"level": quiet} for name in _TALKATIVE},
            # gunicorn gives itself handlers on standard error; an empty list takes them away again.
            # Below info it writes the request line, and paths carry patient ids.
            "gunicorn.error": {"level": quiet_enough, "handlers": [], "propagate": True},
            # Its access log would carry paths; the request line of service.app stands for it.
            "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
        },
    }


def formatter(*, console: bool) -> logging.Formatter:
    """The formatter that turns every record, ours or a library's, into one line."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_without_foreign_text, *_shared()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(console=console)],
    )


def _renderer(*, console: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty()) if console else _as_json


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _describe_exception,
    ]


def _without_foreign_text(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    event["logger"] = record.name
    text = str(event["event"])
    if event.get("exc_info"):
        event["event"] = "unhandled exception"
    elif text.startswith(_UNREADABLE):
        event["event"] = _UNREADABLE
    else:
        # What follows the first line is a formatted traceback or a dump of settings.
        event["event"] = text.partition("\n")[0]
    return event


def _describe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    given = event.pop("exc_info", None)
    event.pop("stack_info", None)
    error = _exception(given)
    if error is not None:
        event["error"] = [_described(each) for each in _chain(error)]
    return event


def _exception(given: object) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    return sys.exception() if given else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what led to it, newest first, as Python would print them."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)


def _described(error: BaseException) -> dict[str, object]:
    kind = type(error)
    described: dict[str, object] = {"type": f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")}
    code = _code(error)
    if code is not None:
        described["code"] = code
    if isinstance(error, _HARMLESS):
        described["text"] = str(error)
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)
    described["frames"] = [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames[-_MAX_FRAMES:]]
    return described


def _code(error: BaseException) -> str | None:
    """PostgreSQL's SQLSTATE, SQLite's error name or the name of an errno: what was wrong, not where."""
    for attribute in ("sqlstate", "sqlite_errorname"):
        code = getattr(error, attribute, None)
        if isinstance(code, str):
            return code
    return errno.errorcode.get(error.errno or 0) if isinstance(error, OSError) else None


def _short(filename: str) -> str:
    path = Path(filename)
    if "site-packages" in path.parts:
        return filename.rpartition("site-packages/")[2]
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else path.name


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    ordered = {key: event.pop(key) for key in _FIRST if key in event}
    return orjson.dumps({**ordered, **event}, default=_type_name, option=orjson.OPT_NON_STR_KEYS).decode()


def _type_name(value: object) -> str:
    return f"<{type(value).__name__}>"


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    structlog.get_logger().critical("uncaught exception", exc_info=error)


def _log_uncaught_in_thread(uncaught: threading.ExceptHookArgs) -> None:
    structlog.get_logger().critical("uncaught exception in a thread", exc_info=uncaught.exc_value)
