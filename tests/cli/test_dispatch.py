"""What the dispatcher of an operator shows in full, without anybody having asked."""

import json

import pytest
from fhir.resources.R4B.bundle import Bundle

from service.cli_dispatch import work_from
from service.config import Settings
from service.domain.subscriptions import Format, Payload
from service.flows import dispatch
from service.flows.dispatch import Room
from tests.flows.build import NOW, WOMAN, Sender, calcium, panel
from tests.flows.telling import fan_all_out, subscribe

HERE = "https://alerts.hospital.example"


@pytest.fixture
def sent_in_full(means, database):
    """Raises a flag, and answers the message in which it is told in full."""

    def write(language: Format):
        subscribe(database, "ward", format=language, payload=Payload.FULL)
        Sender(means).send(panel(calcium("13.6")))
        fan_all_out(means)
        shown = work_from(Settings(public_url=HERE), means).shown
        claimed = dispatch.claim(means, by="dsp_1", room=Room(most=9, each=9), now=NOW)
        (task,) = dispatch.gather(means, claimed, shown)
        return task.event, json.loads(dispatch.letter(task, source=shown.source, now=NOW).body)

    return write


@pytest.mark.parametrize("language", [Format.NATIVE, Format.CLOUDEVENTS])
def test_in_full_a_flag_is_shown_as_the_api_shows_it(sent_in_full, language):
    event, told = sent_in_full(language)

    shown = told["data"]["shown"]
    assert (shown["id"], shown["patient"]["id"]) == (event.flag, WOMAN["id"])
    assert shown["why"]
    assert told["data"]["html"] == f"{HERE}/flags/{event.flag}"


def test_in_full_a_flag_is_shown_as_a_resource_of_fhir(sent_in_full):
    event, told = sent_in_full(Format.FHIR)

    Bundle.model_validate(told)
    entry = told["entry"][1]
    assert entry["resource"]["resourceType"] == "DetectedIssue"
    assert entry["resource"]["id"] == event.flag.replace("_", "-")
    assert entry["fullUrl"] == f"{HERE}/fhir/R4/DetectedIssue/{entry['resource']['id']}"
    assert entry["resource"]["reference"].startswith(f"{HERE}/v1/rulesets/")
