"""Bundles: a transaction whole or not at all, a batch entry by entry, and both the same again when sent again."""

import random

import pytest

from service.domain.errors import Unavailable
from service.flows import fhir_taking
from tests.api.fhir.speak import calcium, found, get, got, hemoglobin, post, refused, statuses, transaction
from tests.flows.build import row_counts
from tests.formats.fhir.build import bundle, concept, entry, observation, patient, quantity, report

URN = "urn:uuid:8d3f6b0e-6c1f-4b0a-9a53-0a6f6b8f3c11"
BAD = observation(id="bad", status="nonsense")


def test_a_transaction_is_answered_entry_by_entry(client):
    answer = post(client, transaction(calcium(), hemoglobin()))

    body = got(answer)
    assert body["type"] == "transaction-response"
    assert statuses(answer) == ["200 OK", "201 Created", "201 Created"]
    location = body["entry"][1]["response"]["location"]
    assert get(client, f"/{location}")["code"]["coding"][0]["code"] == "17861-6"


def test_a_transaction_with_one_fault_keeps_nothing(client, database):
    told = refused(post(client, transaction(calcium(), BAD)), 400)

    assert told == [("error", "code-invalid", "Bundle.entry[2].resource.status")]
    assert row_counts(database)["inbox"] == 0


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_entries_changes_nothing(seed, client):
    entries = [
        entry(patient(), url=URN),
        entry(calcium(subject={"reference": URN}), url="urn:uuid:1"),
        entry(hemoglobin(subject={"reference": URN}), url="urn:uuid:2"),
        entry(report("urn:uuid:1", "urn:uuid:2", subject={"reference": URN})),
    ]
    random.Random(seed).shuffle(entries)  # noqa: S311  an order, not a secret

    post(client, bundle("transaction", *entries))

    flags = found(client, "DetectedIssue", patient="88204113")
    assert {one["code"]["coding"][0]["code"] for one in flags} == {"hypercalcemia", "anemia", "pattern"}


def test_the_same_transaction_again_has_the_same_answer(client, database):
    first, again = post(client, transaction(calcium())), post(client, transaction(calcium()))

    assert again.get_data() == first.get_data()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert row_counts(database)["inbox"] == 1


def test_a_transaction_of_which_the_answer_was_lost_is_answered_all_the_same(client, database, monkeypatch):
    """The answer is kept with the results: whoever is killed between the commit and the answer has lost nothing."""
    take_in = fhir_taking.take_in_whole

    def killed(*arguments, **options):
        take_in(*arguments, **options)
        raise Unavailable("killed")

    with monkeypatch.context() as patched:
        patched.setattr(fhir_taking, "take_in_whole", killed)
        lost = post(client, transaction(calcium()))
    again = post(client, transaction(calcium()))

    assert lost.status_code == 503
    assert statuses(again) == ["200 OK", "201 Created"]
    assert row_counts(database)["results"] == 1


def test_the_same_result_twice_fails_a_transaction(client):
    told = refused(post(client, transaction(calcium(), calcium(12.9))), 400)

    assert [(code, place) for _, code, place in told] == [("duplicate", "Bundle.entry[2].resource")]


def test_in_a_batch_each_entry_stands_for_itself(client):
    answer = post(client, bundle("batch", calcium(), BAD, patient(), hemoglobin()))

    assert got(answer)["type"] == "batch-response"
    assert statuses(answer) == ["201 Created", "400 Bad Request", "200 OK", "201 Created"]
    outcome = got(answer)["entry"][1]["response"]["outcome"]
    assert outcome["issue"][0]["expression"] == ["Bundle.entry[1].resource.status"]
    assert len(found(client, "Observation", patient="88204113")) == 2


def test_a_batch_with_refused_entries_is_looked_at_again(client):
    sent = bundle("batch", calcium(), BAD)

    again = (post(client, sent), post(client, sent))[1]

    assert statuses(again) == ["200 OK", "400 Bad Request"]
    assert "Idempotent-Replayed" not in again.headers


def test_two_that_cannot_be_told_apart_do_not_sink_the_others(client):
    """Two codes of one analyte, neither with an id: nobody knows which of them is meant."""
    first = observation("718-7", id=None, valueQuantity=quantity(9, "g/dL"))
    second = observation("59260-0", id=None, valueQuantity=quantity(5, "mmol/L"))

    answer = post(client, bundle("batch", first, second, calcium()))

    assert statuses(answer) == ["201 Created", "409 Conflict", "201 Created"]


def test_entries_of_a_batch_may_not_name_each_other(client):
    sent = bundle("batch", entry(patient(identifier=None), url=URN), entry(calcium(subject={"reference": URN})))

    issue = got(post(client, sent))["entry"][1]["response"]["outcome"]["issue"][0]

    assert issue["code"] == "not-supported"
    assert "transaction" in issue["details"]["text"]


@pytest.mark.parametrize("kind", ["collection", "document", "searchset", "history"])
def test_other_bundles_are_taken_entry_by_entry(kind, client):
    answer = post(client, bundle(kind, patient(), calcium()))

    assert got(answer)["type"] == "batch-response"
    assert statuses(answer) == ["200 OK", "201 Created"]


def test_conditions_of_entries_are_met_or_answered(client):
    sent = calcium(identifier=[{"system": "urn:lab", "value": "R-1"}])
    conditional = entry(sent, ifNoneExist="identifier=urn:lab|R-1")
    stale = entry(hemoglobin(), method="PUT", ifMatch='W/"7"')

    first = post(client, bundle("batch", conditional, stale))
    second = post(
        client, bundle("batch", entry({**sent, "note": [{"text": "x"}]}, ifNoneExist="identifier=urn:lab|R-1"))
    )

    assert statuses(first) == ["201 Created", "412 Precondition Failed"]
    assert statuses(second) == ["200 OK"]
    assert got(second)["entry"][0]["response"]["etag"] == 'W/"1"'


def test_a_batch_of_one_entry_is_a_batch_all_the_same(client):
    stale = entry(hemoglobin(), method="PUT", ifMatch='W/"7"')

    assert statuses(post(client, bundle("batch", stale))) == ["412 Precondition Failed"]


def test_a_condition_that_is_not_met_fails_a_transaction(client, database):
    sent = bundle("transaction", patient(), calcium(), entry(hemoglobin(), method="PUT", ifMatch='W/"7"'))

    assert refused(post(client, sent), 412) == [("error", "conflict", "Bundle.entry[2]")]
    assert row_counts(database)["inbox"] == 0


def test_a_correction_supersedes_the_flag_and_the_history_shows_both(client):
    identifier = [{"system": "urn:lab", "value": "R-1"}]
    post(client, transaction(calcium(identifier=identifier)))
    post(client, transaction(calcium(13.9, identifier=identifier, status="corrected", issued="2026-11-02T09:00:00Z")))

    new, old = found(client, "DetectedIssue")
    if new["status"] == "amended":
        new, old = old, new
    assert (new["status"], old["status"]) == ("final", "amended")
    assert (new["severity"], old["severity"]) == ("high", "moderate")
    seen = [one["evidence"][0]["detail"][0]["reference"] for one in (old, new)]
    assert [get(client, f"/{one}")["valueQuantity"]["value"] for one in seen] == [11.9, 13.9]


def test_a_withdrawn_result_withdraws_the_flag(client):
    post(client, transaction(calcium()))
    post(client, transaction(calcium(status="entered-in-error", issued="2026-11-02T09:00:00Z")))

    (flag,), (episode,) = found(client, "DetectedIssue"), found(client, "Flag", patient="88204113")

    assert (flag["status"], episode["status"]) == ("entered-in-error", "entered-in-error")
    (reference,) = flag["implicated"]
    history = get(client, f"/{reference['reference'].partition('/_history')[0]}/_history")
    assert [one["resource"]["status"] for one in history["entry"]] == ["entered-in-error", "final"]


def test_a_new_id_for_a_correction_takes_the_old_one_back(client):
    post(client, transaction(calcium()))
    replaces = {
        "url": "http://hl7.org/fhir/StructureDefinition/observation-replaces",
        "valueReference": {"reference": "Observation/ca-1"},
    }
    post(client, transaction(calcium(9.5, id="ca-2", status="corrected", extension=[replaces])))

    (flag,) = found(client, "DetectedIssue")

    assert flag["status"] == "entered-in-error"


def test_an_unreadable_bundle_is_refused_as_a_whole(client):
    assert refused(post(client, b"{"), 400)[0][:2] == ("error", "structure")
    assert refused(post(client, {"resourceType": "Bundle"}), 400) == [("error", "required", "Bundle.type")]
    assert refused(post(client, calcium()), 400)[0][2] == "Bundle.resourceType"


def test_what_is_ignored_says_why(client):
    condition = {"resourceType": "Condition", "subject": {"reference": "Patient/p-1"}, "code": concept("x", "urn:x")}

    body = got(post(client, bundle("batch", condition)))

    (issue,) = body["entry"][0]["response"]["outcome"]["issue"]
    assert issue["details"]["text"] == "ignored: not a laboratory result"
