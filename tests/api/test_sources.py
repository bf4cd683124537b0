"""The sources over HTTP: their maps, kept from lost updates, and what is not mapped."""

import pytest

from tests.api.described import as_described, as_problem
from tests.flows.build import panel, result
from tests.flows.test_source_maps import coded

PATH = "/v1/sources/{name}"
HERE = "/v1/sources/lab-1"
CODE = {"system": "urn:hl7v2:L", "code": "HGB", "analyte": "hemoglobin"}
UNIT = {"analyte": "hemoglobin", "spelling": "gr/dl", "unit": "g/dL"}
A_MAP = {"zone": "Europe/Vienna", "codes": [CODE], "units": [UNIT]}
EMPTY = {"zone": None, "codes": [], "units": []}


def test_a_map_is_set_read_again_and_used(client, document):
    made = client.put(HERE, json=A_MAP)
    shown = client.get(HERE)

    assert made.status_code == 201
    told = {"name": "lab-1", "version": 1, "set_at": "2026-11-20T12:00:00Z", "map": A_MAP}
    body = as_described(document, PATH, made)
    assert body | {"set_at": body["set_at"][:16] + ":00Z"} == told
    assert as_described(document, PATH, shown) == body
    assert (made.headers["ETag"], shown.headers["ETag"]) == ('"1"', '"1"')
    answer = client.post("/v1/panels", json=panel(coded("9.1", "gr/dl")))
    assert [one["finding"] for one in as_described(document, "/v1/panels", answer)["flags"]] == ["anemia"]


def test_every_answer_about_a_mapped_result_says_by_which_map(client, document):
    client.put(HERE, json=A_MAP)
    receipt = client.post("/v1/panels", json=panel(coded("9.1", "gr/dl"))).get_json()
    by = {"by": "lab-1 version 1", "analyte": "hemoglobin", "unit": "g/dL"}

    kept = as_described(document, "/v1/panels/{panel_id}", client.get(f"/v1/panels/{receipt['id']}"))
    (entry,) = client.get("/v1/patients/88204113/timeline").get_json()["items"]
    flag = client.get(receipt["flags"][0]["href"]).get_json()

    (item,) = kept["verdicts"]
    assert (item["mapped"], item["sent"]["unit"], item["sent"]["code"]["code"]) == (by, "gr/dl", "HGB")
    assert (entry["mapped"], entry["converted"]["value"]) == (by, "9.1")
    assert flag["explanation"]["value"]["mapped_by"] == "lab-1 version 1"


def test_a_source_that_nobody_has_mapped_has_the_empty_map(client, document):
    answer = client.get(HERE)

    body = as_described(document, PATH, answer)
    assert body == {"name": "lab-1", "version": 0, "set_at": None, "map": EMPTY}
    assert answer.headers["ETag"] == '"0"'


def test_a_source_that_nobody_knows_is_not_found(client):
    as_problem(client.get("/v1/sources/nobody"), "not-found")
    as_problem(client.get("/v1/sources/nobody/unmapped"), "not-found")


def test_every_version_can_be_read_again(client):
    client.put(HERE, json=A_MAP)
    second = client.put(HERE, json=EMPTY)

    assert (second.status_code, second.get_json()["version"]) == (200, 2)
    assert [client.get(f"{HERE}?version={number}").get_json()["map"] for number in (0, 1, 2)] == [EMPTY, A_MAP, EMPTY]
    as_problem(client.get(f"{HERE}?version=3"), "not-found")
    as_problem(client.get(f"{HERE}?version=-1"), "invalid-query")


def test_the_same_map_again_is_no_new_version(client):
    client.put(HERE, json=A_MAP)

    again = client.put(HERE, json=A_MAP)

    assert (again.status_code, again.get_json()["version"], again.headers["ETag"]) == (200, 1, '"1"')


# Header, its value, and whether a map of version 1 may be replaced under it.
PRECONDITIONS = [
    ("If-Match", '"1"', True),
    ("If-Match", '"0", "1"', True),
    ("If-Match", "*", True),
    ("If-Match", '"0"', False),
    ("If-Match", '"2"', False),
    ("If-Match", 'W/"1"', False),  # compared strongly (RFC 9110, section 13.1.1)
    ("If-None-Match", "*", False),
    ("If-None-Match", '"1"', False),
    ("If-None-Match", 'W/"1"', False),  # compared weakly (section 13.1.2)
    ("If-None-Match", '"2"', True),
]


@pytest.mark.parametrize(("header", "value", "holds"), PRECONDITIONS)
def test_a_map_is_replaced_only_where_the_precondition_holds(client, document, *, header, value, holds):
    client.put(HERE, json=A_MAP)

    answer = client.put(HERE, json=EMPTY, headers={header: value})

    as_described(document, PATH, answer)
    assert (answer.status_code, client.get(HERE).get_json()["version"]) == ((200, 2) if holds else (412, 1))
    if not holds:
        as_problem(answer, "precondition-failed")
        assert answer.headers["ETag"] == '"1"'


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [("If-None-Match", "*", 201), ("If-Match", '"0"', 201), ("If-Match", "*", 412), ("If-Match", '"1"', 412)],
)
def test_a_first_map_is_made_only_where_the_precondition_holds(client, header, value, status):
    assert client.put(HERE, json=A_MAP, headers={header: value}).status_code == status


def test_a_map_that_is_read_again_unchanged_is_answered_with_304(client):
    tag = client.put(HERE, json=A_MAP).headers["ETag"]

    unchanged = client.get(HERE, headers={"If-None-Match": tag})
    client.put(HERE, json=EMPTY)
    changed = client.get(HERE, headers={"If-None-Match": tag})

    assert (unchanged.status_code, unchanged.data, changed.status_code) == (304, b"", 200)


def test_a_map_with_faults_is_refused_with_all_of_them(client, document):
    wrong = {"system": "LN", "code": "17861-6", "analyte": "hemoglobin"}

    answer = client.put(HERE, json={"codes": [wrong, {**CODE, "analyte": "hemoglobn"}]})

    as_described(document, PATH, answer)
    problem = as_problem(answer, "invalid-source-map")
    assert [(one["pointer"], one["code"], one["value"]) for one in problem["errors"]] == [
        ("/codes/0/code", "contradicts-catalogue", "17861-6"),
        ("/codes/1/analyte", "analyte-unknown", "hemoglobn"),
    ]
    assert problem["errors"][1]["hint"] == "did you mean 'hemoglobin'?"


def test_what_is_no_map_at_all_is_refused_by_its_kind(client):
    as_problem(client.put(HERE, data=b"{", content_type="application/json"), "invalid-json")
    as_problem(client.put(HERE, data=b"{}", content_type="text/csv"), "unsupported-media-type")
    as_problem(client.put(HERE, json={"codes": 1}), "invalid-source-map")


def test_reading_needs_flags_read_and_setting_sources_write(doors):
    reader, writer = doors.with_scopes("flags:read"), doors.with_scopes("sources:write", source="lab-1")

    as_problem(reader.put(HERE, json=A_MAP), "forbidden")
    as_problem(writer.get(HERE), "forbidden")
    assert (writer.put(HERE, json=A_MAP).status_code, reader.get(HERE).status_code) == (201, 200)


def test_what_is_not_mapped_is_listed_as_it_is_written_into_the_map(client, document):
    sent = panel(coded("9.1", "gr/dl"), result("K", "4.1", "mmol/l"), result("hemoglobin", "9.1", "gr/dl"))
    receipt = client.post("/v1/panels", json=sent).get_json()

    answer = client.get(f"{HERE}/unmapped")

    body = as_described(document, "/v1/sources/{name}/unmapped", answer)
    assert (body["source"], body["version"], body["panels"], body["more"]) == ("lab-1", 0, 1, 0)
    told = [{key: value for key, value in one.items() if not key.endswith("_at")} for one in body["items"]]
    where = {"panel": receipt["id"], "href": f"/v1/panels/{receipt['id']}"}
    assert told == [
        {
            "analyte": "hemoglobin",
            "units": [{"unit": "gr/dl", "count": 1}],
            "count": 1,
            "example": {**where, "pointer": "/results/2"},
        },
        {
            "system": "urn:hl7v2:L",
            "code": "HGB",
            "units": [{"unit": "gr/dl", "count": 1}],
            "count": 1,
            "example": {**where, "pointer": "/results/0"},
        },
        {
            "system": "urn:lab-alerts:name",
            "code": "K",
            "units": [{"unit": "mmol/l", "count": 1}],
            "count": 1,
            "example": {**where, "pointer": "/results/1"},
        },
    ]
    one = told[1]
    client.put(HERE, json={"codes": [{"system": one["system"], "code": one["code"], "analyte": "hemoglobin"}]})
    assert [one.get("code") for one in client.get(f"{HERE}/unmapped").get_json()["items"]] == [None, "K"]


@pytest.mark.parametrize("query", ["days=0", "days=367", "limit=0", "limit=501", "day=1"])
def test_the_list_has_its_bounds(client, query):
    as_problem(client.get(f"{HERE}/unmapped?{query}"), "invalid-query")


def test_all_sources_are_listed_with_links(client, document):
    client.put("/v1/sources/lab%20%C3%A4/x", json=A_MAP)

    (mapped, own) = as_described(document, "/v1/sources", client.get("/v1/sources"))["items"]

    assert (own["name"], own["last_seen_at"], own["version"]) == ("lab-1", None, 0)
    assert (mapped["name"], mapped["version"]) == ("lab ä/x", 1)
    assert client.get(mapped["href"]).get_json()["map"] == A_MAP
