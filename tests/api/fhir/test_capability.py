"""The CapabilityStatement tells the truth."""

import pytest

from service.formats.fhir.capability import NEEDS_PATIENT, SEARCHES
from tests.api.fhir.speak import get, got

VALUES = {"token": "x", "date": "2026", "reference": "Patient/1"}


def statement(client):
    return get(client, "/metadata")


def resources(client):
    return {one["type"]: one for one in statement(client)["rest"][0]["resource"]}


def test_anybody_may_read_it(doors):
    body = got(doors.without_key().get("/fhir/R4/metadata"))

    assert (body["kind"], body["fhirVersion"]) == ("instance", "4.0.1")
    assert body["implementation"]["url"] == "http://localhost/fhir/R4"
    assert "not a diagnosis" in body["description"]


@pytest.mark.parametrize("kind", SEARCHES)
def test_every_search_parameter_that_is_named_is_understood(kind, client):
    named = resources(client)[kind]["searchParam"]
    whom = {"_id": "x"} if kind in NEEDS_PATIENT else {}

    for one in named:
        page = get(client, f"/{kind}", **{**whom, one["name"]: VALUES[one["type"]]})
        assert page["type"] == "searchset"


def test_every_interaction_that_is_named_has_a_route_and_no_other_has(client, app):
    adapter = app.url_map.bind("localhost")
    urls = {
        "read": ("GET", "/{}/x"),
        "vread": ("GET", "/{}/x/_history/1"),
        "history-instance": ("GET", "/{}/x/_history"),
        "search-type": ("GET", "/{}"),
        "create": ("POST", "/{}"),
        "update": ("PUT", "/{}/x"),
        "delete": ("DELETE", "/{}/x"),
        "patch": ("PATCH", "/{}/x"),
        "history-type": ("GET", "/{}/_history"),
    }

    for kind, one in resources(client).items():
        named = {interaction["code"] for interaction in one["interaction"]}
        offered = {code for code, (method, url) in urls.items() if adapter.test(f"/fhir/R4{url.format(kind)}", method)}
        assert offered - {"history-type"} == named, kind


def test_what_is_said_of_the_whole_is_there(client, app):
    (rest,) = statement(client)["rest"]
    adapter = app.url_map.bind("localhost")

    assert [one["code"] for one in rest["interaction"]] == ["transaction", "batch"]
    assert [one["name"] for one in rest["operation"]] == ["process-message"]
    assert adapter.test("/fhir/R4", "POST")
    assert adapter.test("/fhir/R4/$process-message", "POST")
