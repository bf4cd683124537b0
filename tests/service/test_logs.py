"""The log: lines of JSON that hold no identity, whoever writes them."""

import errno
import io
import json
import logging
import sqlite3
import sys
import threading

import pytest
import structlog

from service import logs
from service.config import Settings, SettingsError

IDENTITY = "MRN-4711"


@pytest.fixture
def lines(capsys, monkeypatch):
    """Call it to have the lines logged so far, parsed."""
    for owner, name in ((sys, "excepthook"), (threading, "excepthook"), (logging, "raiseExceptions")):
        monkeypatch.setattr(owner, name, getattr(owner, name))  # put back at the end
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.configure(Settings())
    yield lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def raise_with_identity():
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE patient (id TEXT UNIQUE CHECK (id = ''))")
    try:
        database.execute("INSERT INTO patient VALUES (?)", [IDENTITY])
    except sqlite3.IntegrityError as error:
        raise ValueError(f"no patient {IDENTITY}") from error
    finally:
        database.close()


def test_a_line_says_when_how_grave_what_and_for_which_request(lines):
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger().info("request", status=200)

    (line,) = lines()
    assert list(line) == ["timestamp", "level", "event", "request_id", "status"]
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["event"], line["request_id"], line["status"]) == ("info", "request", "r1", 200)


def test_below_the_level_nothing_is_logged(lines):
    structlog.get_logger().debug("detail")
    logging.getLogger("sqlalchemy.engine").info("INSERT %s", IDENTITY)
    logging.getLogger("gunicorn.access").info("GET /patients/%s", IDENTITY)

    assert lines() == []


def test_an_exception_is_logged_with_types_codes_and_frames_and_without_its_text(lines):
    try:
        raise_with_identity()
    except ValueError:
        structlog.get_logger().exception("failed")

    (line,) = lines()
    newest, cause = line["error"]
    assert newest["type"] == "ValueError"
    assert newest["frames"][-1].startswith("tests/service/test_logs.py:")
    assert newest["frames"][-1].endswith(" raise_with_identity")
    assert (cause["type"], cause["code"]) == ("sqlite3.IntegrityError", "SQLITE_CONSTRAINT_CHECK")
    assert IDENTITY not in str(line)


def test_a_librarys_exception_loses_the_text_of_the_record_too(lines):
    try:
        raise_with_identity()
    except ValueError:
        logging.getLogger("service.app").exception("Exception on /patients/%s [GET]", IDENTITY)

    (line,) = lines()
    assert (line["event"], line["logger"]) == ("unhandled exception", "service.app")
    assert IDENTITY not in str(line)


def test_a_request_that_gunicorn_cannot_read_is_not_repeated(lines):
    logging.getLogger("gunicorn.error").warning("Invalid request from ip=10.0.0.1: 'GET /%s'", IDENTITY)

    (line,) = lines()
    assert line["event"] == "Invalid request"


def test_of_a_librarys_record_only_the_first_line_is_kept(lines):
    logging.getLogger("gunicorn.error").warning("Exception during worker exit:\n%s", IDENTITY)

    (line,) = lines()
    assert line["event"] == "Exception during worker exit:"


def test_a_value_of_an_unknown_type_is_logged_as_that_type(lines):
    structlog.get_logger().info("request", error=ValueError(IDENTITY))

    (line,) = lines()
    assert line["error"] == "<ValueError>"


def test_the_text_of_a_settings_error_is_kept_because_it_names_no_value(lines):
    structlog.get_logger().error("cannot start", exc_info=SettingsError(["LAB_ALERTS_BIND: is odd"]))

    (line,) = lines()
    assert "LAB_ALERTS_BIND: is odd" in line["error"][0]["text"]


def test_an_operating_system_error_has_its_code_and_not_its_path(lines):
    structlog.get_logger().error("failed", exc_info=FileNotFoundError(2, "No such file", f"/{IDENTITY}"))

    (line,) = lines()
    assert line["error"] == [{"type": "FileNotFoundError", "code": "ENOENT", "frames": []}]


def test_an_uncaught_exception_of_a_thread_is_a_line_too(lines):
    thread = threading.Thread(target=raise_with_identity)
    thread.start()
    thread.join()

    (line,) = lines()
    assert (line["level"], line["event"]) == ("critical", "uncaught exception in a thread")
    assert IDENTITY not in str(line)


class FullDisk(io.StringIO):
    """Output that nothing can be written to."""

    def flush(self):
        raise OSError(errno.ENOSPC, "no space left")


def test_a_line_that_cannot_be_written_is_lost_and_does_no_harm(lines, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(sys, "stdout", FullDisk())
        structlog.get_logger().info("lost")
    structlog.get_logger().info("kept")

    (line,) = lines()
    assert line["event"] == "kept"


def test_the_console_format_keeps_the_same_law(capsys, lines):
    logs.configure(Settings(log_format="console"))

    structlog.get_logger().error("failed", exc_info=ValueError(IDENTITY))

    out = capsys.readouterr().out
    assert "failed" in out
    assert IDENTITY not in out
    assert lines() == []
