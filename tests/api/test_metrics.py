"""What Prometheus reads: the right numbers, under labels that are nobody's, whatever becomes of the database."""

from datetime import timedelta

import pytest
from prometheus_client.openmetrics import parser as openmetrics

from service import __version__
from service.api import metrics
from service.domain.rules import Finding, Severity
from service.flows import keys as key_flow
from service.flows.means import Means
from service.storage import gauges
from service.storage.database import Database
from tests.api.described import as_problem
from tests.api.exposed import read
from tests.api.test_around_requests import SECRETS
from tests.flows.build import NOW, WOMAN, Sender, calcium, encoded, hemoglobin, panel, result

NDJSON = "application/x-ndjson"


def test_open_episodes_are_those_of_the_database(means, scrape):
    for number, value in enumerate(("11.0", "13.9", "13.9")):
        Sender(means).send(panel(calcium(value), patient={**WOMAN, "id": f"p-{number}"}))
    Sender(means).send(panel(calcium("9.5"), on=1, patient={**WOMAN, "id": "p-2"}))

    told = {
        (dict(found)["finding"], dict(found)["severity"]): value
        for (name, found), value in scrape().items()
        if name == "lab_alerts_open_episodes"
    }

    assert {key: value for key, value in told.items() if value} == {
        ("hypercalcemia", "mild"): 1,
        ("hypercalcemia", "critical"): 1,
    }
    assert told.keys() == {(finding, severity) for finding in Finding for severity in Severity}


def test_the_last_time_of_each_source_is_that_of_the_database(means, scrape):
    for source, hour in (("lab-b", 3), ("lab-a", 1), ("lab-b", 5), ("lab-b", 4), ("lab-c", 2)):
        sent = panel(calcium("9.5"), on=hour)
        Sender(means, source=source).send(sent, at=NOW + timedelta(hours=hour))

    told = {
        dict(found)["source"]: value
        for (name, found), value in scrape().items()
        if name == "lab_alerts_source_last_received_timestamp_seconds"
    }

    hours = {"lab-a": 1, "lab-b": 5, "lab-c": 2}
    assert told == {source: (NOW + timedelta(hours=hour)).timestamp() for source, hour in hours.items()}


def test_the_last_time_of_each_source_is_found_without_reading_all_panels(database):
    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN "
    asked = str(gauges.LAST.compile(dialect=database.engine.dialect))

    with database.reading() as connection:
        if database.dialect == "postgresql":  # which reads a table whole that has no more than a page
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = [str(row[-1]) for row in connection.exec_driver_sql(explain + asked)]

    assert [line for line in plan if "ix_panels_source" in line]
    assert [line for line in plan if "Seq Scan" in line or "SCAN panels" in line] == []


def test_what_runs_is_told(scrape, database):
    (told,) = (dict(found) for name, found in scrape() if name == "lab_alerts_build_info")

    assert told["version"] == __version__
    assert told["ruleset"] == "blood-findings-1"
    assert told["database"] == database.dialect


@pytest.fixture
def clock(monkeypatch):
    """The clock by which the gauges of the database are kept; set it with ``clock[0] = …``."""
    told = [0.0]
    monkeypatch.setattr(metrics, "_clock", lambda: told[0])
    return told


def opened(samples):
    return sum(value for (name, _), value in samples.items() if name == "lab_alerts_open_episodes")


def test_the_database_is_asked_again_only_after_some_seconds(means, scrape, clock):
    assert opened(scrape()) == 0
    Sender(means).send(panel(calcium("11.9")))

    clock[0] = 4.9
    early = opened(scrape())
    clock[0] = 5.0

    assert (early, opened(scrape())) == (0, 1)


def test_the_longer_the_database_took_the_later_it_is_asked_again(means, scrape, clock, monkeypatch):
    def slowly(connection, **more):
        clock[0] += 2
        return found(connection, **more)

    found = gauges.read
    monkeypatch.setattr(gauges, "read", slowly)
    scrape()
    Sender(means).send(panel(calcium("11.9")))

    clock[0] = 41.9
    early = opened(scrape())
    clock[0] = 42.0

    assert (early, opened(scrape())) == (0, 1)


@pytest.fixture
def away(app):
    """Call it to take the database away from the service, and call what it answers to bring it back."""

    def take():
        before = app.extensions["lab_alerts"]
        gone = Database.open("postgresql+psycopg://nobody@127.0.0.1:1/none", timeout=1)
        app.extensions["lab_alerts"] = Means(database=gone, catalogue=before.catalogue)
        return lambda: app.extensions.update(lab_alerts=before)

    return take


def test_without_the_database_the_counters_are_told_and_that_it_is_away(client, scrape, away):
    client.post("/v1/panels", json=panel(calcium("11.9")))
    before = scrape()
    away()

    after = scrape()

    up = ("lab_alerts_database_up", frozenset())
    results = {key: value for key, value in after.items() if key[0] == "lab_alerts_results_total"}
    assert (before[up], after[up]) == (1, 0)
    assert results == {key: value for key, value in before.items() if key[0] == "lab_alerts_results_total"}
    assert [name for name, _ in after if name.startswith(("lab_alerts_open", "lab_alerts_source"))] == []


def test_without_the_database_a_key_that_was_never_seen_opens_nothing(doors, scrape, away):
    scrape()
    unseen = doors.with_scopes("metrics:read", name="another")
    away()

    as_problem(unseen.get("/metrics"), "unavailable")


def test_without_the_database_a_key_for_metrics_opens_nothing_else(doors, away):
    everything = doors.with_scopes("admin")
    everything.get("/metrics")
    away()

    as_problem(everything.get("/v1/flags"), "unavailable")


def test_a_key_without_the_scope_is_refused_with_and_without_the_database(doors, away):
    reader = doors.with_scopes("flags:read")
    as_problem(reader.get("/metrics"), "forbidden")
    away()

    as_problem(reader.get("/metrics"), "forbidden")


def test_a_key_that_was_revoked_is_not_remembered_when_the_database_was_seen_since(doors, database, away):
    secret = doors.key("metrics:read", name="old")
    prometheus = doors.with_key(secret)
    assert prometheus.get("/metrics").status_code == 200
    key_flow.revoke(database, "old", NOW)
    assert prometheus.get("/metrics").status_code == 401
    away()

    as_problem(prometheus.get("/metrics"), "unauthenticated")


def test_nothing_of_anybody_is_told(client, doors):
    patient = {"id": "Zaphod-4711", "name": "Beeblebrox", "birth_date": "1942-07-19", "sex": "male"}
    telling = panel(
        calcium("13.3719", id="R-31337", note="remarkable-note"),
        hemoglobin("77.4242"),
        result("Beeblebrox", "13.3719", "Zaphod-4711"),
        patient=patient,
        accession="ACC-90210",
        note="remarkable-note",
    )
    client.post("/v1/panels", json=telling)
    client.post("/v1/panels", json={**telling, "Beeblebrox": "13.3719"})
    client.post(
        "/v1/panels", data=encoded(telling) + b"\n" + encoded({"Zaphod-4711": 1}), content_type=NDJSON
    ).get_data()
    client.post("/v1/panels?Zaphod-4711", json=telling)
    client.get("/v1/patients/Zaphod-4711/flags?authority=Beeblebrox")
    client.open("/Zaphod-4711", method="Beeblebrox")

    told = doors.with_scopes("metrics:read").get("/metrics").text

    assert "lab_alerts_results_total" in told
    assert [secret for secret in SECRETS if secret.lower() in told.lower()] == []


def test_prometheus_is_answered_in_openmetrics_when_it_asks_for_it_first(doors):
    accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

    answer = doors.with_scopes("metrics:read").get("/metrics", headers={"Accept": accept})

    families = {family.name for family in openmetrics.text_string_to_metric_families(answer.text)}
    assert answer.mimetype == "application/openmetrics-text"
    assert {"lab_alerts_results", "lab_alerts_database_up", "lab_alerts_build"} <= families


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/plain",
        "application/json",
        "text/plain;version=x",
        "application/openmetrics-text;q=0",
        ";;,=",
        "é",
    ],
)
def test_everybody_else_is_answered_in_text(doors, accept):
    answer = doors.with_scopes("metrics:read").get("/metrics", headers={"Accept": accept})

    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert read(answer.text)


def test_a_version_that_is_no_number_is_no_failure(doors):
    answer = doors.with_scopes("metrics:read").get(
        "/metrics", headers={"Accept": "application/openmetrics-text;version=x"}
    )

    assert answer.content_type.startswith("application/openmetrics-text; version=1.0.0")
