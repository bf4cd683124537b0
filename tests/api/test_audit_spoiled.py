"""Rows of the audit that somebody has spoiled, and requests that try to: all else is still read, shown and exported.

Law: the tables below say what was done to a row and what cannot be read of it then; a reader can check them.
"""

import json
from datetime import timedelta

import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from service.api import auditing
from service.cli import main
from service.domain.audit import Entry
from service.flows.audit import lines, record, verify
from service.flows.purge import limits, purge
from service.storage.audit import AuditFilter
from tests.api.described import as_described
from tests.flows.build import NOW, calcium, panel

DEEP = "[" * 400 + "]" * 400
# What is set, and what cannot be read then. Of SQLite, in which anything may stand.
LITE = {
    "time-nonsense": ("at = 'yesterday'", "at"),
    "time-in-another-form": ("at = '2026-11-20T12:03:00Z'", "at"),
    "time-with-an-offset": ("at = '2026-11-20 12:03:00.000000+02:00'", "at"),
    "time-a-number": ("at = X'00'", "at"),
    "detail-nonsense": ("detail = 'nonsense'", "detail"),
    "detail-nan": ("""detail = '{"n": NaN}'""", "detail"),
    "outcome-bytes": ("outcome = X'323030'", "outcome"),
    "action-no-text": ("action = CAST(X'ff41' AS TEXT)", "action"),
    "actor-no-text": ("kind = 'key', actor = CAST(X'ff41' AS TEXT)", "actor"),
    "hash-bytes": ("hash = X'00'", "hash"),
    "before-bytes": ("before = X'00'", "before"),
}
# Of PostgreSQL.
SERVER = {
    "time-endless": ("at = 'infinity'", "at"),
    "time-far": ("at = '20260-01-01T00:00:00Z'", "at"),
}
# Of both.
BOTH = {
    "detail-a-list": ("detail = '[1]'", "detail"),
    "detail-nothing": ("detail = 'null'", "detail"),
    "detail-half-a-character": ("""detail = '{"n": "\\ud800"}'""", "detail"),
    "detail-deep": (f"""detail = '{{"n": {DEEP}}}'""", "detail"),
}
# Odd, and yet something that can be shown.
SHOWN = {
    "unknown-outcome": ("outcome = 'no such thing'", {"outcome": "no such thing"}),
    "long-ago": ("at = '0001-01-01 00:00:00.000000'", {"at": "0001-01-01T00:00:00.000000Z"}),
    "detail-with-nul": ("""detail = '{"n": "\\u0000"}'""", {"detail": {"n": "\0"}}),
}
CASES = [
    pytest.param(kind, *case, id=f"{kind}-{name}")
    for kind, cases in (("sqlite", LITE | BOTH), ("postgresql", SERVER | BOTH))
    for name, case in cases.items()
]


@pytest.fixture
def chain(database):
    """Six entries, a minute apart."""
    rows = [Entry(at=NOW + timedelta(minutes=n), action=f"a{n + 1}", outcome="200", detail={"n": n}) for n in range(6)]
    record(database, rows)


def spoil(database, change, place=4):
    with database.transaction() as connection:
        connection.exec_driver_sql(f"UPDATE audit SET {change} WHERE place = {place}")  # noqa: S608  our own words


def walked(client, limit):
    """Every entry there is, page by page."""
    found, address = [], f"/v1/audit?limit={limit}"
    while address:
        page = client.get(address)
        assert page.status_code == 200, page.text
        found += page.json["items"]
        address = page.json["next"]
    return found


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize(("kind", "change", "odd"), CASES)
def test_what_cannot_be_read_is_named_and_all_else_is_shown(client, database, address, monkeypatch, change, odd):
    spoil(database, change)
    monkeypatch.setenv("LAB_ALERTS_DATABASE_URL", address)

    shown = {one["place"]: one for one in walked(client, 1)}
    exported = [json.loads(line) for line in lines(database, AuditFilter())]
    command = CliRunner().invoke(main, ["audit", "export"])
    verified = CliRunner().invoke(main, ["audit", "verify"])

    assert [one["place"] for one in exported] == [1, 2, 3, 4, 5, 6]
    assert list(shown.values()) == sorted(exported, key=lambda one: list(shown).index(one["place"]))
    assert {place: one.get("unreadable") for place, one in shown.items()} == dict.fromkeys((1, 2, 3, 5, 6)) | {4: [odd]}
    assert shown[4][odd] is None
    assert (command.exit_code, len(command.stdout.splitlines())) == (0, 6)
    assert (verified.exit_code, verified.stderr) == (1, f"Place 4: the entry cannot be read ({odd}).\n")


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize(("change", "expected"), SHOWN.values(), ids=SHOWN)
def test_what_is_odd_and_can_be_read_is_shown_as_it_is_and_does_not_pass(client, database, change, expected):
    spoil(database, change)

    (shown,) = [one for one in walked(client, 2) if one["place"] == 4]

    assert ({name: shown[name] for name in expected}, "unreadable" in shown) == (expected, False)
    assert verify(database).broken.why == "the entry was changed"


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize(("kind", "change"), [("sqlite", "at = 'x', detail = '[]'"), ("postgresql", "at = 'infinity'")])
def test_a_spoiled_entry_is_answered_as_described(client, database, document, change):
    spoil(database, change)

    assert len(as_described(document, "/v1/audit", client.get("/v1/audit"))["items"]) == 6


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize(("kind", "time"), [("sqlite", "yesterday"), ("postgresql", "infinity")])
@pytest.mark.parametrize(("place", "left"), [(1, [4, 5, 6]), (3, [3, 4, 5, 6]), (4, [4, 5, 6]), (6, [4, 5, 6])])
def test_a_purge_takes_an_entry_without_a_time_with_the_one_after_it(database, time, place, left):
    spoil(database, f"at = '{time}'", place=place)

    of = limits(keep_inbox_days=0, keep_audit_days=1, now=NOW + timedelta(days=1, minutes=3))
    purge(database, of, rest=lambda _: None)

    assert [json.loads(line)["place"] for line in lines(database, AuditFilter())] == left


HOSTILE = ["\x00", "a\ud83db", "x" * 4_000, "\u202e' OR 1=1 --", "\x7f", "\xff"]


@pytest.mark.parametrize("odd", HOSTILE, ids=["nul", "half-a-character", "long", "quote", "delete", "latin"])
def test_nothing_that_can_be_sent_makes_an_entry_that_cannot_be_written(app, client, doors, database, odd):
    header = {
        "Request-Id": odd.encode("latin-1", "replace").decode("latin-1").replace("\x00", "\\0"),
        "User-Agent": "\xff",
    }
    bytes_ = odd.encode("utf-8", "surrogatepass")

    with capture_logs() as logged:
        client.get("/v1/flags", query_string={"patient": bytes_}, headers=header)
        client.get("/v1/patients/" + "".join(f"%{one:02X}" for one in bytes_) + "/flags", headers=header)
        sent = json.dumps(panel({**calcium("11.9"), "id": odd}))
        client.post("/v1/panels", data=sent, content_type="application/json", headers=header)
        client.post("/v1/panels", data=b'{"patient": "' + bytes_ + b'"}', content_type="application/json")
        client.post("/hl7v2", data=b"MSH|^~\\&|" + bytes_, content_type="application/hl7-v2")
        doors.with_key("lak_" + odd.replace("\x00", "\\0").encode("latin-1", "replace").decode("latin-1")).get(
            "/v1/flags"
        )
        assert app.extensions[auditing.NAME].flush()

    found = verify(database)
    assert (found.entries, found.broken) == (6, None)
    assert [line for line in logged if line["event"].startswith("audit")] == []
