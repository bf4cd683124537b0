"""What there is to read: flags, episodes and results, one by one, by search and page by page."""

import json

import pytest

from tests.api.fhir.speak import LATER, WHO, calcium, found, get, got, hemoglobin, post, refused, transaction
from tests.flows.build import panel
from tests.formats.fhir.build import concept, observation, quantity

DAYS = [f"2026-11-{day:02}T08:00:00Z" for day in range(1, 8)]


def send_days(client, *values):
    sent = [
        calcium(value, id=f"ca-{day}", effectiveDateTime=at, issued=at)
        for day, (value, at) in enumerate(zip(values, DAYS, strict=False))
    ]
    assert post(client, transaction(*sent)).status_code == 200


def values(resources):
    return [one["valueQuantity"]["value"] for one in resources]


def test_a_flag_is_a_detected_issue_with_all_that_explains_it(client):
    post(client, transaction(calcium()))

    (one,) = found(client, "DetectedIssue")

    assert one == get(client, f"/DetectedIssue/{one['id']}")
    assert one["identifier"] == [{"system": "urn:lab-alerts:flag", "value": one["id"].replace("-", "_", 1)}]
    assert (one["status"], one["severity"]) == ("final", "moderate")
    assert one["code"]["text"] == "Possible hypercalcemia"
    assert one["patient"]["identifier"] == {"system": "urn:oid:1.2.3", "value": "88204113"}
    assert one["identifiedDateTime"].startswith("2026-11-20T12:00:0")
    assert one["implicated"] == one["evidence"][0]["detail"]
    assert one["implicated"][0]["reference"].endswith("/_history/1")
    assert one["detail"].startswith("11.9 mg/dL is above 11.5 mg/dL.")
    assert one["reference"] == "http://localhost/v1/rulesets/blood-findings-1"
    assert "mitigation" not in one


def test_a_flag_on_a_preliminary_result_is_preliminary(client):
    post(client, transaction(calcium(status="preliminary")))

    (one,) = found(client, "DetectedIssue", status="preliminary")

    assert one["status"] == "preliminary"
    assert found(client, "DetectedIssue", status="final") == []


def test_a_pattern_rests_on_all_of_its_results(client):
    post(client, transaction(calcium(), hemoglobin()))

    (one,) = found(client, "DetectedIssue", code="pattern")

    seen = [get(client, f"/{reference['reference']}")["code"]["coding"][0]["code"] for reference in one["implicated"]]
    assert sorted(seen) == ["17861-6", "718-7"]


def test_an_episode_is_a_flag_until_it_ends(client):
    send_days(client, 11.9, 12.9)
    (open_,) = found(client, "Flag", patient="88204113")
    send_days(client, 11.9, 12.9, 9.5)
    (ended,) = found(client, "Flag", patient="88204113")

    assert (open_["status"], "end" in open_["period"]) == ("active", False)
    assert (ended["status"], ended["period"]["end"]) == ("inactive", "2026-11-03T08:00:00.000Z")
    assert ended == get(client, f"/Flag/{ended['id']}")


def test_a_result_is_shown_to_the_letter_with_both_opinions(client):
    theirs = concept("N", "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation")
    sent = calcium(interpretation=[theirs], meta={"profile": ["urn:x"]}, performer=[{"reference": "Practitioner/1"}])
    answer = post(client, _digits(sent, "11.9", "11.900"), "/Observation")

    shown = client.get(answer.headers["Location"])

    assert b'"value":11.900' in shown.get_data()
    body = got(shown)
    assert body["interpretation"][0] == theirs
    assert body["interpretation"][1]["coding"][0]["code"] == "H"
    assert body["interpretation"][1]["text"] == "Possible hypercalcemia, moderate, by lab-alerts (blood-findings-1)"
    assert "performer" not in body
    assert body["subject"]["identifier"]["value"] == "p-1"


def _digits(sent, short, long):
    return json.dumps(sent).replace(short, long).encode()


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (calcium(13.9), "HH"),
        (hemoglobin(6.0), "LL"),
        (hemoglobin(7.5), "L"),
        (calcium(9.5), None),
        (calcium(7.0), None),
        (calcium(valueQuantity=quantity(5, "foo")), None),
        (calcium(status="cancelled"), None),
    ],
)
def test_ours_is_said_only_where_a_flag_was_raised(sent, code, client):
    post(client, transaction(sent))

    (one,) = found(client, "Observation", patient="88204113")

    codes = [coding["code"] for said in one.get("interpretation", ()) for coding in said["coding"]]
    assert codes[:1] == ([] if code is None else [code])


def test_results_of_other_doors_are_observations_too(client):
    sent = panel({"analyte": "calcium", "comparator": "<", "value": "5.50", "unit": "mg/dL"})
    client.post("/v1/panels", json=sent)

    (one,) = found(client, "Observation", patient="88204113")

    assert one["valueQuantity"] == {"value": 5.5, "unit": "mg/dL", "comparator": "<"}
    assert one["code"]["coding"] == [{"system": "urn:lab-alerts:analyte", "code": "calcium"}]
    assert one["subject"]["identifier"] == {"value": "88204113", "assigner": {"display": "hospital-a"}}


def test_a_message_that_is_not_kept_any_more_takes_nothing_away(client, database):
    post(client, transaction(calcium(interpretation=[{"text": "much too high"}])))
    with database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM inbox")

    (one,) = found(client, "Observation", patient="88204113")

    assert one["valueQuantity"] == {"value": 11.9, "unit": "mg/dL"}
    assert one["interpretation"][0]["text"] == "much too high"


def test_pages_follow_each_other_without_gap_or_repetition(client):
    send_days(client, *[11.9] * 7)

    seen, page = [], get(client, "/DetectedIssue", _count=3, patient="88204113")
    while True:
        seen.append([one["resource"]["id"] for one in page["entry"]])
        links = {one["relation"]: one["url"] for one in page["link"]}
        if "next" not in links:
            break
        page = got(client.get(links["next"]))

    assert [len(ids) for ids in seen] == [3, 3, 1]
    assert len({id_ for ids in seen for id_ in ids}) == 7


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"date": "2026-11-02"}, [12]),
        ({"date": ["ge2026-11-02", "lt2026-11-04"]}, [13, 12]),
        ({"date": "gt2026-11-03T08:00:00Z"}, [14]),
        ({"date": "sa2026-11-03"}, [14]),
        ({"date": "le2026-11-01T09:00:00+01:00"}, [11]),
        ({"date": "eb2026-11-02"}, [11]),
        ({"date": "2026-11"}, [14, 13, 12, 11]),
        ({"date": "2025"}, []),
        ({"code": "17861-6"}, [14, 13, 12, 11]),
        ({"code": "http://loinc.org|17861-6,718-7"}, [14, 13, 12, 11]),
        ({"code": "urn:other|17861-6"}, []),
        ({"code": "urn:lab-alerts:analyte|calcium"}, [14, 13, 12, 11]),
        ({"status": "final"}, [14, 13, 12, 11]),
        ({"status": "corrected,amended"}, []),
        ({"_lastUpdated": "2026-11-20"}, [14, 13, 12, 11]),
        ({"_lastUpdated": "lt2026-11-20"}, []),
        ({"_count": "2"}, [14, 13]),
        ({"_count": "9999", "_format": "json"}, [14, 13, 12, 11]),
    ],
)
def test_results_are_searched_by_what_the_statement_names(query, expected, client):
    send_days(client, 11, 12, 13, 14)

    assert values(found(client, "Observation", **{"subject:identifier": WHO, **query})) == expected


@pytest.mark.parametrize(
    ("whom", "count"),
    [
        ({"patient": "88204113"}, 1),
        ({"patient": "Patient/88204113"}, 1),
        ({"patient:Patient": "88204113"}, 1),
        ({"patient:identifier": WHO}, 1),
        ({"patient.identifier": "88204113"}, 1),
        ({"subject": "Patient/88204113", "patient": "88204113"}, 1),
        ({"patient:identifier": "urn:other|88204113"}, 0),
        ({"patient": "nobody,88204113"}, 1),
        ({"patient": "nobody"}, 0),
    ],
)
def test_patients_are_found_by_their_identifier(whom, count, client):
    send_days(client, 11.9)

    assert len(found(client, "Flag", **whom)) == count


def test_an_identifier_of_several_patients_is_refused_without_its_system(client):
    send_days(client, 11.9)
    client.post("/v1/panels", json=panel({"analyte": "calcium", "value": "12", "unit": "mg/dL"}))

    told = refused(client.get("/fhir/R4/Flag?patient=88204113"), 409)

    assert told == [("error", "multiple-matches", "")]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"date": "ge2026-11-05"}, 1),
        ({"date": "lt2026-11-01"}, 0),
        ({"date": "2026-11-04"}, 1),
        ({"status": "active"}, 1),
    ],
)
def test_an_open_episode_is_found_in_all_the_time_since_it_began(query, expected, client):
    send_days(client, 9.5, 11.9)

    assert len(found(client, "Flag", patient="88204113", **query)) == expected


def test_flags_are_searched_by_finding_state_and_time(client):
    post(client, transaction(calcium(), hemoglobin()))

    def count(**query):
        return len(found(client, "DetectedIssue", **query))

    assert count() == 3
    assert count(code="urn:lab-alerts:finding|anemia") == 1
    assert count(code="anemia,pattern", identified="2026-11-20") == 2
    assert count(identified="gt2026-11-20") == count(status="amended") == 0
    assert count(date="2026-11-01", _lastUpdated="ge2026-11-20T12:00:00Z") == 3


def test_things_are_found_by_their_ids(client):
    post(client, transaction(calcium(), hemoglobin()))

    for kind, whom in (
        ("DetectedIssue", {}),
        ("Flag", {"patient": "88204113"}),
        ("Observation", {"patient": "88204113"}),
    ):
        ids = [one["id"] for one in found(client, kind, **whom)]
        assert sorted(one["id"] for one in found(client, kind, _id=",".join(ids[:2]))) == sorted(ids[:2])
        assert found(client, kind, _id="nothing") == []


def test_the_version_that_counts_is_read_and_every_one_is_in_the_history(client):
    answer = post(client, calcium(), "/Observation")
    post(client, calcium(9.5, status="corrected", issued=LATER), "/Observation")
    place = answer.headers["Location"].partition("/fhir/R4")[2].partition("/_history")[0]

    current, history = client.get(f"/fhir/R4{place}"), get(client, f"{place}/_history")

    assert (values([got(current)]), current.headers["ETag"]) == ([9.5], 'W/"2"')
    assert current.headers["Last-Modified"] == "Fri, 20 Nov 2026 12:00:00 GMT"
    assert values([one["resource"] for one in history["entry"]]) == [9.5, 11.9]
    assert values([get(client, f"{place}/_history/1")]) == [11.9]


@pytest.mark.parametrize(
    "path",
    [
        "/DetectedIssue/flg-01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "/DetectedIssue/x",
        "/Flag/x",
        "/Flag/01ARZ3NDEKTSV4RRFFQ69G5FAV.01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "/Observation/ca-1",
        "/Observation/01ARZ3NDEKTSV4RRFFQ69G5FAV.01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "/Observation/01ARZ3NDEKTSV4RRFFQ69G5FAV.01ARZ3NDEKTSV4RRFFQ69G5FAV/_history",
        "/Observation/01ARZ3NDEKTSV4RRFFQ69G5FAV.01ARZ3NDEKTSV4RRFFQ69G5FAV/_history/1",
        "/Observation/x/_history/1",
        "/Patient/1",
        "/nothing/at/all",
    ],
)
def test_what_there_is_not_is_not_found(path, client):
    assert refused(client.get(f"/fhir/R4{path}"), 404) == [("error", "not-found", "")]


@pytest.mark.parametrize(
    "query",
    [
        "DetectedIssue?foo=1",
        "DetectedIssue?_count=0",
        "DetectedIssue?_count=x",
        "DetectedIssue?identified=x",
        "DetectedIssue?identified=2026-13",
        "DetectedIssue?identified=ne2026",
        "DetectedIssue?identified=9999",
        "DetectedIssue?identified=2026-11-20T08:12:00",
        "DetectedIssue?code=a&code=b",
        "DetectedIssue?code=urn:x|",
        "DetectedIssue?_cursor=x",
        "DetectedIssue?patient=",
        "DetectedIssue?_include=*",
        "DetectedIssue?patient:missing=true",
        "Observation",
        "Flag?status=active",
        "Observation?patient=1&_sort=code",
    ],
)
def test_a_search_that_is_not_understood_is_refused(query, client):
    assert refused(client.get(f"/fhir/R4/{query}"), 400)[0][0] == "error"


def test_a_cursor_belongs_to_its_search(client):
    send_days(client, 11.9, 12)
    page = get(client, "/DetectedIssue", _count=1)
    cursor = page["link"][1]["url"].partition("_cursor=")[2]

    assert refused(client.get(f"/fhir/R4/DetectedIssue?_cursor={cursor}&status=final"), 400) == [("error", "value", "")]


def test_the_public_address_stands_in_every_link(client, app, monkeypatch):
    monkeypatch.setitem(app.config, "PUBLIC_URL", "https://alerts.example.org/lab")
    send_days(client, 11.9, 12)

    page = get(client, "/DetectedIssue", _count=1)

    assert all(one["url"].startswith("https://alerts.example.org/lab/fhir/R4/DetectedIssue?") for one in page["link"])
    assert page["entry"][0]["fullUrl"].startswith("https://alerts.example.org/lab/fhir/R4/DetectedIssue/flg-")


def test_an_observation_without_a_value_says_why(client):
    sent = observation(valueQuantity=None, dataAbsentReason=concept("error", "urn:x"))
    post(client, transaction(sent))

    (one,) = found(client, "Observation", patient="88204113")

    assert one["dataAbsentReason"]["coding"][0]["code"] == "error"
