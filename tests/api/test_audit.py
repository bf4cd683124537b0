"""What every kind of request leaves behind, and how it is read.

Law: the table below says for each kind of request what is written down of it; a reader can check it line by line.
"""

import json
import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from service.api import auditing
from service.domain.audit import Entry
from service.domain.errors import Unavailable
from service.flows.audit import lines, record, verify
from service.formats.hl7v2.reader import MEDIA_TYPE as HL7V2
from service.storage.audit import AuditFilter
from service.storage.tables import patients
from tests.api.cds import speak as bedside_speak
from tests.api.cds.conftest import policy  # noqa: F401  a fixture of the neighbors
from tests.api.described import as_described
from tests.api.fhir.speak import calcium as fhir_calcium
from tests.api.fhir.speak import found, post, transaction
from tests.flows.build import NOW, WOMAN, calcium, hemoglobin, panel
from tests.formats.hl7v2.build import obx, report

FHIR = "/fhir/R4"
OTHER = {**WOMAN, "id": "99000001"}
# What tells who somebody is, or what was measured.
SECRETS = ("88204113", "99000001", "1968-03-14", "Doe", "11.9", "hospital-a")


@pytest.fixture
def written(app, database):
    """Call it for every entry there is by now, oldest first."""

    def read():
        assert app.extensions[auditing.NAME].flush()
        return [json.loads(line) for line in lines(database, AuditFilter())]

    return read


@pytest.fixture
def pseudonym(database):
    """Call it for our name of the one patient there is."""

    def find():
        with database.reading() as connection:
            return connection.execute(select(patients.c.id)).scalar_one()

    return find


@pytest.fixture
def kept(client):
    """A panel that is held already, with names for what it brought about."""
    receipt = client.post("/v1/panels", json=panel(calcium("11.9"))).json
    client.post("/v1/panels", json=panel(calcium("11.9"), patient=OTHER))
    return {"panel": receipt["id"], "flag": receipt["flags"][0]["id"], "patient": WOMAN["id"]}


ABOUT = "the patient"
V1, FLAG = "GET /v1/flags/<string:flag_id>", "/v1/flags/{flag}"
TABLE = [
    # path, status, action, about whom, detail
    ("/v1/flags", 200, "GET /v1/flags", None, {"patients": 2}),
    ("/v1/flags?patient={patient}", 200, "GET /v1/flags", ABOUT, {}),
    (FLAG, 200, V1, ABOUT, {}),
    ("/v1/flags/flg_nothing", 404, V1, None, {}),
    (f"{FLAG}/replay", 200, f"{V1}/replay", ABOUT, {}),
    ("/v1/panels/{panel}", 200, "GET /v1/panels/<string:panel_id>", ABOUT, {}),
    ("/v1/patients/{patient}/flags", 200, "GET /v1/patients/<path:patient_id>/flags", ABOUT, {}),
    ("/v1/patients/{patient}/timeline", 200, "GET /v1/patients/<path:patient_id>/timeline", ABOUT, {}),
    ("/v1/patients/{patient}/episodes", 200, "GET /v1/patients/<path:patient_id>/episodes", ABOUT, {}),
    ("/v1/patients/nobody/timeline", 404, "GET /v1/patients/<path:patient_id>/timeline", None, {}),
    ("/v1/flags?limit=0", 400, "GET /v1/flags", None, {}),
    ("/v1/analytes", 200, "GET /v1/analytes", None, {}),
    ("/v1/sources", 200, "GET /v1/sources", None, {}),
    ("/v1/audit", 200, "GET /v1/audit", None, {}),
    ("/v1/key", 200, "GET /v1/key", None, {}),
    (f"{FHIR}/DetectedIssue?patient={{patient}}", 200, f"GET {FHIR}/DetectedIssue", ABOUT, {}),
    (f"{FHIR}/DetectedIssue", 200, f"GET {FHIR}/DetectedIssue", None, {"patients": 2}),
    (f"{FHIR}/Observation?patient={{patient}}&code=718-7", 200, f"GET {FHIR}/Observation", ABOUT, {}),
]


@pytest.mark.parametrize(("path", "status", "action", "about", "detail"), TABLE, ids=[row[0] for row in TABLE])
def test_a_request_that_reads(client, kept, written, database, path, status, action, about, detail):
    with database.reading() as connection:
        mine = connection.execute(select(patients.c.id).where(patients.c.identifier == WOMAN["id"])).scalar_one()

    answer = client.get(path.format(**kept), headers={"Request-Id": "r-7"})

    last = written()[-1]
    assert answer.status_code == status
    assert (last["action"], last["outcome"], last["request_id"]) == (action, str(status), "r-7")
    assert last["subject"] == (mine if about else None)
    assert last["detail"] == detail
    assert (last["actor"]["kind"], last["actor"]["id"][:4]) == ("key", "key_")


def sent(client, *, kind="application/json", data=None, path="/v1/panels", **more):
    return client.post(path, data=data, content_type=kind, **more)


def panels(*bodies):
    return "\n".join(json.dumps(one) for one in bodies).encode()


SENT = [
    ("panel", lambda client: client.post("/v1/panels", json=panel(calcium("11.9"))), ABOUT, {"panel": "pnl_…"}),
    (
        "dry-run",
        lambda client: client.post("/v1/panels?dry_run=true", json=panel(calcium("11.9"))),
        None,
        {"dry_run": True},
    ),
    ("refused", lambda client: client.post("/v1/panels", json={"patient": {}}), None, {}),
    (
        "ndjson",
        lambda client: sent(client, kind="application/x-ndjson", data=panels(panel(calcium("11.9")), {})),
        None,
        {"flagged": 1, "rejected": 1},
    ),
    (
        "hl7v2",
        lambda client: sent(client, kind=HL7V2, data=report(obx()), path="/hl7v2"),
        ABOUT,
        {"panels": 1, "codes": "AA"},
    ),
    (
        "hl7v2-refused",
        lambda client: sent(client, kind=HL7V2, data=b"hello", path="/hl7v2"),
        None,
        {"panels": 0, "codes": "AR"},
    ),
    ("fhir", lambda client: post(client, transaction(fhir_calcium())), ABOUT, {"panels": 1}),
]


@pytest.mark.parametrize(("send", "about", "detail"), [row[1:] for row in SENT], ids=[row[0] for row in SENT])
def test_a_request_that_brings_something(client, written, database, send, about, detail):
    answer = send(client)
    answer.get_data()
    answer.close()

    (last,) = written()
    with database.reading() as connection:
        names = list(connection.execute(select(patients.c.id)).scalars())
    assert last["subject"] == (names[0] if about else None)
    assert {name: f"{one[:4]}…" if name == "panel" else one for name, one in last["detail"].items()} == detail
    assert last["outcome"] == str(answer.status_code)


def test_an_answer_that_was_remembered_is_said_to_be(client, written):
    for _ in range(2):
        client.post("/v1/panels", json=panel(calcium("11.9")), headers={"Idempotency-Key": '"k"'})

    assert [one["detail"].get("recalled") for one in written()] == [None, True]


def test_a_bundle_of_several_patients_says_how_many(client, written):
    bodies = panel(calcium("11.9")), panel(hemoglobin("9"), patient=OTHER)
    client.post("/v1/panels", json=bodies[0])
    client.post("/v1/panels", json=bodies[1])

    found(client, "DetectedIssue")

    assert (written()[-1]["subject"], written()[-1]["detail"]) == (None, {"patients": 2})


def test_the_page_of_a_flag_is_written_down_too(client, kept, written, doors):
    doors.without_key().get(f"/flags/{kept['flag']}", auth=("any", doors.key("flags:read", name="person")))

    last = written()[-1]
    assert (last["action"], last["outcome"]) == ("GET /flags/<string:flag_id>", "200")
    assert last["subject"] is not None


def test_a_call_of_cds_hooks_names_its_client_and_the_patient_of_whom_something_is_held(
    policy,  # noqa: F811  the fixture imported above
    doors,
    means,
    written,
    pseudonym,
):
    policy(public_url="https://alerts.example")
    bedside_speak.hold(means, calcium("11.9"))

    bedside_speak.look(doors.without_key())

    (last,) = written()
    assert last["action"] == "POST /cds-services/<string:service_id>"
    assert last["actor"] == {"kind": "system", "id": "anybody"}
    assert last["subject"] == pseudonym()


# --------------------------------------------------------------------------------------------------- who was let in
def test_whoever_was_not_let_in_is_written_down_as_nobody(doors, written):
    doors.without_key().get("/v1/flags")
    doors.with_key("lak_wrong").post("/v1/panels", json={})

    assert [(one["actor"], one["action"], one["outcome"]) for one in written()] == [
        (None, "GET /v1/flags", "401"),
        (None, "POST /v1/panels", "401"),
    ]


def test_a_key_that_may_not_is_named(doors, written):
    doors.with_scopes("rules:read").get("/v1/flags")

    (last,) = written()
    assert (last["actor"]["kind"], last["outcome"]) == ("key", "403")


@pytest.mark.parametrize(
    "path", ["/health/live", "/health/ready", "/", "/docs", "/openapi.json", "/metrics", "/nothing"]
)
def test_what_anybody_may_read_what_is_scraped_and_what_is_not_there_is_not_written_down(client, written, path):
    client.get(path)

    assert written() == []


def test_a_request_that_fails_is_written_down(client, written, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("oh")

    monkeypatch.setattr("service.storage.history.flag_page", fail)
    client.get("/v1/flags")

    assert written()[-1]["outcome"] == "500"


def test_while_the_database_is_away_requests_are_answered_and_written_down_later(client, app, written, monkeypatch):
    def away(*_, **__):
        raise Unavailable("the database cannot be reached")

    with monkeypatch.context() as patched:
        patched.setattr("service.flows.trail.record", away)
        status = client.get("/v1/flags").status_code
        flushed = app.extensions[auditing.NAME].flush()

    assert (status, flushed) == (200, False)
    assert [one["action"] for one in written()] == ["GET /v1/flags"]


# ------------------------------------------------------------------------------------------------------- no identity
@pytest.mark.usefixtures("kept")
def test_there_is_no_identity_and_no_value_in_any_entry(client, written):
    for path in (
        "/v1/patients/88204113/flags",
        "/v1/patients/88204113/timeline?authority=hospital-a",
        "/v1/patients/99000001/episodes",
        "/v1/flags?patient=88204113",
        "/v1/patients/Doe/flags",
        f"{FHIR}/Observation?patient=88204113",
        f"{FHIR}/DetectedIssue?patient=Doe",
    ):
        client.get(path)
    client.post("/hl7v2", data=report(obx()), content_type=HL7V2)
    client.post("/v1/panels", json=panel({**calcium("11.9"), "unit": "Doe"}))

    text = json.dumps(written())

    assert [secret for secret in SECRETS if secret in text] == []


# ------------------------------------------------------------------------------------------------------------ reading
@pytest.fixture
def past(database):
    """Entries of three days, of two actors, about two subjects."""
    rows = [
        Entry(
            at=NOW - timedelta(days=3) + timedelta(hours=number),
            kind="key",
            actor=f"key_{number % 2}",
            action=f"a{number}",
            subject=f"pat_{number % 3}",
            outcome="200",
        )
        for number in range(12)
    ]
    record(database, rows)


def named(answer):
    assert answer.status_code == 200, answer.text
    return [one["action"] for one in answer.json["items"]]


@pytest.mark.usefixtures("past")
def test_it_is_read_from_the_newest_backward_page_by_page(client):
    seen, address = [], "/v1/audit?limit=5"
    while address:
        page = client.get(address)
        seen += named(page)
        address = page.json["next"]

    assert seen == [f"a{number}" for number in reversed(range(12))]


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("actor=key_1", [11, 9, 7, 5, 3, 1]),
        ("subject=pat_2", [11, 8, 5, 2]),
        ("actor=key_1&subject=pat_2", [11, 5]),
        ("from=2026-11-17T20:00:00Z", [11, 10, 9, 8]),
        ("to=2026-11-17T15:00:00%2B01:00", [1, 0]),
        ("from=2026-11-17T14:00:00Z&to=2026-11-17T16:00:00Z", [3, 2]),
        ("actor=nobody", []),
    ],
)
def test_it_can_be_asked_who_about_whom_and_when(client, query, expected):
    assert named(client.get(f"/v1/audit?{query}")) == [f"a{number}" for number in expected]


@pytest.mark.usefixtures("past")
def test_what_is_shown_is_what_was_sealed(client, database):
    shown = client.get("/v1/audit").json["items"]

    exported = [json.loads(line) for line in lines(database, AuditFilter())]
    assert list(reversed(shown)) == exported


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize("query", ["cursor=x", "limit=0", "from=yesterday", "to=2026-11-17T15:00:00", "who=me"])
def test_a_question_that_is_not_understood_is_refused(client, query):
    assert client.get(f"/v1/audit?{query}").status_code == 400


@pytest.mark.usefixtures("past")
def test_a_cursor_belongs_to_its_question(client):
    cursor = client.get("/v1/audit?limit=2").json["next"].rpartition("cursor=")[2]

    refused = client.get(f"/v1/audit?limit=2&actor=key_1&cursor={cursor}")

    assert (refused.status_code, refused.json["type"]) == (400, "/problems/invalid-cursor")


@pytest.mark.usefixtures("past")
def test_it_is_answered_as_described(client, written, document, doors):
    doors.without_key().get("/v1/flags")
    written()

    assert len(as_described(document, "/v1/audit", client.get("/v1/audit"))["items"]) == 13


def test_it_needs_a_scope_of_its_own(doors):
    may = doors.with_scopes("audit:read").get("/v1/audit").status_code
    may_not = doors.with_scopes("flags:read").get("/v1/audit").status_code

    assert (may, may_not) == (200, 403)


def test_requests_at_the_same_time_are_each_written_down_once(client, written, database):
    def ask():
        for _ in range(10):
            client.get("/v1/analytes")

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()

    assert len(written()) == 40
    assert verify(database).broken is None
