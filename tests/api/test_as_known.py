"""What was known at an earlier moment is answered as it was answered then, to the letter.

Law: the expectation is the answer that was given then, and nothing else.
"""

from datetime import UTC, timedelta
from itertools import count
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.errors import Conflict
from service.flows import acknowledge
from tests.api.described import as_described, as_problem
from tests.flows.acting import ACK, DO, PATEL
from tests.flows.build import NOW, WOMAN, Sender, alp, calcium, day, encoded, hemoglobin, panel, platelets, result

BEGIN = NOW - timedelta(days=5)
HOUR = timedelta(hours=1)
FLAGS, TIMELINE = "/v1/patients/88204113/flags", "/v1/patients/88204113/timeline"
ASKED = (
    "flags?limit=200",
    "flags?limit=200&state=open&state=superseded&finding=hypercalcemia",
    "timeline?limit=200",
    "timeline?limit=200&order=oldest&analyte=calcium&collected_from=2026-11-02T08:00:00Z",
)


def said(moment):
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Laboratory:
    """Sends panels, and asks what is known of their patients."""

    def __init__(self, client, means):
        self.client, self.sender = client, Sender(means)

    def __repr__(self):
        return "the laboratory"

    def send(self, sent, *, at, patient="88204113"):
        return self.sender.send({**sent, "patient": {**sent["patient"], "id": patient}}, at=at)

    def act(self, asked, *, place, at, patient):
        """Do something about one of the open episodes; answers whether it could be done."""
        path = f"/v1/patients/{patient}/episodes?state=open&limit=200"
        found = sorted(one["id"] for one in self.body(path)["items"]) if self.knows(patient) else []
        try:
            return (
                bool(found)
                and acknowledge.do(found[place % len(found)], asked, self.sender.means, by=PATEL, now=at).new
            )
        except Conflict:
            return False

    def knows(self, patient):
        return self.client.get(f"/v1/patients/{patient}/flags").status_code == 200

    def answers(self, moment=None, *, patient="88204113"):
        """What is answered, with and without filters, apart from what says of which moment it is."""
        of_then = "" if moment is None else f"&as_known_at={said(moment)}"
        found = [self.body(f"/v1/patients/{patient}/{one}{of_then}") for one in ASKED]
        if moment is not None:
            assert [(one.pop("as_known_at"), one.pop("exact")) for one in found] == [(said(moment), True)] * len(ASKED)
        return found

    def body(self, path):
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.get_json()


@pytest.fixture
def laboratory(client, means):
    return Laboratory(client, means)


KINDS = {
    "calcium": (calcium, ("9.9", "11.0", "11.9", "13.6", "99")),
    "hemoglobin": (hemoglobin, ("13.1", "12.5", "9.1")),
    "alp": (alp, ("90", "120", "250")),
    "platelets": (platelets, ("200", "70")),
    "ionized": (lambda value, **more: result("calcium_ionized", value, "mmol/L", **more), ("1.20", "1.45")),
}
STATUSES = ("preliminary", "final", "final", "final", "corrected", "cancelled", "entered-in-error")
# Most come one after another; some at the same moment, and some after a clock was set back.
PAUSES = st.sampled_from([HOUR, HOUR, HOUR, timedelta(microseconds=1), timedelta(), -3 * HOUR])
numbers = count(1)


@st.composite
def one_result(draw):
    make, values = KINDS[draw(st.sampled_from(["calcium", "calcium", *sorted(KINDS)]))]
    return make(draw(st.sampled_from(values)), status=draw(st.sampled_from(STATUSES)))


@st.composite
def one_panel(draw):
    """A panel of one of a few days; often a correction, or late, or of somebody of whom something else was known."""
    brought = draw(st.lists(one_result(), min_size=1, max_size=3, unique_by=lambda one: one["analyte"]))
    if draw(st.integers(0, 3)) == 0:  # it may be said again of another day
        brought[0]["id"] = brought[0]["analyte"] + draw(st.sampled_from(["-1", "-2"]))
    facts = {
        "sex": draw(st.sampled_from(["female", "female", "male", "unknown"])),
        "birth_date": draw(st.sampled_from(["1968-03-14", "1968-03-14", "2015-03-14"])),
    }
    issued = draw(st.sampled_from([None, *(day(6 + number).isoformat() for number in range(4))]))
    more = {} if issued is None else {"issued_at": issued}
    return panel(*brought, on=draw(st.integers(0, 5)), patient={**WOMAN, **facts}, **more)


one_act = st.tuples(st.sampled_from([ACK, ACK, ACK, DO["undo"], DO["comment"]]), st.integers(0, 5))


@settings(max_examples=20)
@given(steps=st.lists(st.tuples(one_panel() | one_act, PAUSES), min_size=1, max_size=12))
def test_every_answer_ever_given_can_be_had_again(laboratory, steps):
    patient, at, latest, given_then = f"p-{next(numbers)}", BEGIN, BEGIN, {}

    for one, pause in steps:
        at += pause
        if happens(laboratory, one, at=at, patient=patient):
            latest = max(latest, at)
            given_then[latest] = laboratory.answers(patient=patient)

    assert {moment: laboratory.answers(moment, patient=patient) for moment in given_then} == given_then


def happens(laboratory, one, *, at, patient):
    if isinstance(one, tuple):
        return laboratory.act(one[0], place=one[1], at=at, patient=patient)
    return not laboratory.send(one, at=at, patient=patient).duplicate


CLEAR, BORN = calcium("9.5"), {"id": "88204113", "authority": "hospital-a", "birth_date": "1968-03-14"}
STORIES = {
    "an episode is split by a late result, and grows together again": [
        panel(calcium("11.0"), on=0),
        panel(calcium("11.9"), on=4),
        panel(calcium("9.5"), on=2),
        panel(calcium("9.5"), on=2, status="entered-in-error"),
        panel(calcium("12.9"), on=5),
    ],
    "an episode is split twice, and its end moves": [
        *(panel(calcium("11.9"), hemoglobin("9.1"), on=number) for number in range(0, 8, 2)),
        panel(CLEAR, on=3),
        panel(CLEAR, on=5),
        panel(CLEAR, on=9),
        panel(CLEAR, on=8),
        panel(calcium("11.9"), on=3, status="corrected"),
    ],
    "a flag is superseded, withdrawn and raised again": [
        panel(calcium("11.9"), issued_at=day(3).isoformat()),
        panel(calcium("12.9"), issued_at=day(4).isoformat(), status="corrected"),
        panel(calcium("12.9"), issued_at=day(5).isoformat(), status="entered-in-error"),
        panel(calcium("11.9"), issued_at=day(6).isoformat(), status="corrected"),
    ],
    "an older version counts again": [
        panel(calcium("11.9"), issued_at=day(3).isoformat(), status="corrected"),
        panel(calcium("13.6"), issued_at=day(4).isoformat()),
        panel(calcium("12.9"), status="preliminary"),
    ],
    "a result moves to another day": [
        panel(calcium("11.9", id="R-1"), hemoglobin("9.1", id="R-2")),
        panel(calcium("11.9", id="R-1"), on=3, status="corrected"),
        panel(hemoglobin("9.1", id="R-2"), on=3, status="corrected"),
    ],
    "the sex becomes known, and then another": [
        panel(hemoglobin("12.5"), patient=BORN),
        panel(alp("90"), on=1, patient={**BORN, "sex": "male"}),
        panel(alp("90"), on=2, patient={**BORN, "sex": "female"}),
    ],
    "another analyte decides": [
        panel(calcium("11.9"), alp("250")),
        panel(result("calcium_ionized", "1.20", "mmol/L")),
        panel(result("calcium_ionized", "1.45", "mmol/L"), status="corrected"),
    ],
}


@pytest.mark.parametrize("story", STORIES)
def test_each_turn_of_a_story_is_answered_as_it_was_then(laboratory, story):
    given_then = {}
    for number, one in enumerate(STORIES[story]):
        laboratory.send(one, at=BEGIN + number * HOUR)
        given_then[BEGIN + number * HOUR] = laboratory.answers()

    found = {moment: laboratory.answers(moment + HOUR / 2) for moment in given_then}

    assert found == given_then
    assert len({str(one) for one in given_then.values()}) == len(given_then)


def test_many_panels_at_once_are_known_as_they_were_then(laboratory):
    lines = b"\n".join(encoded(panel(calcium(value), on=on)) for on, value in enumerate(("11.0", "9.5", "12.9")))
    answer = laboratory.client.post("/v1/panels", data=lines, content_type="application/x-ndjson")
    assert answer.status_code == 200
    assert len(answer.text.splitlines()) == 4
    given_then = laboratory.answers()
    moment = max(item["received_at"] for item in laboratory.body(TIMELINE)["items"])

    laboratory.client.post("/v1/panels", json=panel(calcium("9.5"), status="corrected"))

    asked = [laboratory.body(f"/v1/patients/88204113/{one}&as_known_at={moment}") for one in ASKED]
    assert [one["items"] for one in asked] == [one["items"] for one in given_then]
    assert laboratory.answers() != given_then


def test_before_anything_was_received_nothing_was_known(laboratory):
    laboratory.send(panel(calcium("11.9")), at=BEGIN)
    moment = said(BEGIN - timedelta(microseconds=1))

    found = [laboratory.body(f"{path}?as_known_at={moment}") for path in (FLAGS, TIMELINE)]

    assert [(one["items"], one["next"], one["as_known_at"], one["exact"]) for one in found] == [
        ([], None, moment, True)
    ] * 2


def test_what_was_received_at_that_very_moment_was_known(laboratory):
    for on in range(3):
        laboratory.send(panel(calcium("11.9"), on=on), at=BEGIN)

    assert len(laboratory.body(f"{FLAGS}?as_known_at={said(BEGIN)}")["items"]) == 3


def test_what_was_kept_after_a_later_one_became_known_with_it(laboratory):
    """Of two panels at once, the one received first may be kept last; and a clock may be set back."""
    laboratory.send(panel(calcium("11.9")), at=BEGIN + HOUR)
    laboratory.send(panel(calcium("12.9"), on=1), at=BEGIN)

    known = [
        len(laboratory.body(f"{FLAGS}?as_known_at={said(BEGIN + hours * HOUR)}")["items"]) for hours in (0, 0.5, 1)
    ]

    assert known == [0, 0, 2]


@pytest.fixture
def corrected(laboratory):
    """Three flags at first; then one is superseded, one resolved, and one raised late."""
    laboratory.send(panel(calcium("11.9"), hemoglobin("9.1")), at=BEGIN)
    laboratory.send(panel(calcium("12.9"), status="corrected"), at=BEGIN + HOUR)
    laboratory.send(panel(hemoglobin("13.1"), on=2), at=BEGIN + 2 * HOUR)
    laboratory.send(panel(alp("250"), on=-1), at=BEGIN + 3 * HOUR)
    return laboratory


@pytest.mark.parametrize(
    ("query", "hours", "wanted"),
    [
        ("state=open", 0, {"hypercalcemia", "anemia", "pattern"}),
        ("state=superseded", 0, set()),
        ("state=superseded", 1, {"hypercalcemia"}),
        ("state=resolved", 1, set()),
        ("state=resolved", 2, {"anemia", "pattern"}),
        ("finding=raised_alp", 2, set()),
        ("finding=raised_alp", 3, {"raised_alp"}),
        ("severity=severe", 0, set()),
        ("severity=severe&source=lab-1", 1, {"hypercalcemia"}),
        ("source=lab-2", 3, set()),
        ("collected_from=2026-11-02T08:00:00Z", 3, set()),
        ("collected_to=2026-11-01T07:00:00Z", 3, {"raised_alp"}),
    ],
)
def test_a_filter_is_about_what_was_then(corrected, query, hours, wanted):
    body = corrected.body(f"{FLAGS}?{query}&as_known_at={said(BEGIN + hours * HOUR)}")

    assert {one["finding"] for one in body["items"]} == wanted


def walked(laboratory, path):
    found = []
    while path:
        body = laboratory.body(path)
        found += body["items"]
        parts = urlsplit(body["next"] or "")
        path = f"{parts.path}?{parts.query}" if body["next"] else None
    return found


@pytest.mark.parametrize("path", [FLAGS, TIMELINE, f"{TIMELINE}?order=oldest"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_of_any_length_hold_everything_once_and_are_all_of_that_moment(corrected, path, limit):
    of_then = f"{path}{'&' if '?' in path else '?'}as_known_at={said(BEGIN + HOUR)}"
    whole = corrected.body(f"{of_then}&limit=200")["items"]

    found = walked(corrected, f"{of_then}&limit={limit}")

    assert found == whole
    assert len(whole) == (4 if path == FLAGS else 2)


@pytest.mark.parametrize("path", [FLAGS, TIMELINE])
@pytest.mark.parametrize("other", ["", f"&as_known_at={said(BEGIN)}"])
def test_a_cursor_is_bound_to_its_moment(corrected, path, other):
    following = corrected.body(f"{path}?limit=1&as_known_at={said(BEGIN + HOUR)}")["next"]
    cursor = following.partition("cursor=")[2].partition("&")[0]

    as_problem(corrected.client.get(f"{path}?limit=1{other}&cursor={cursor}"), "invalid-cursor")


@pytest.mark.parametrize("what", ["flags", "timeline"])
def test_a_page_of_another_moment_is_described_and_says_which(corrected, document, what):
    moment = said(BEGIN + HOUR)

    answer = corrected.client.get(f"/v1/patients/88204113/{what}?as_known_at={moment}")

    body = as_described(document, f"/v1/patients/{{patient_id}}/{what}", answer)
    assert (body["as_known_at"], body["exact"]) == (moment, True)
    assert "notice" not in body
    assert "as_known_at" not in corrected.body(f"/v1/patients/88204113/{what}")


def test_everybodys_history_takes_a_moment_for_one_patient_only(corrected):
    moment = f"as_known_at={said(BEGIN + HOUR)}"

    of_one = corrected.body(f"/v1/flags?patient=88204113&{moment}")

    assert of_one["items"] == corrected.body(f"{FLAGS}?{moment}")["items"]
    problem = as_problem(corrected.client.get(f"/v1/flags?authority=hospital-a&{moment}"), "invalid-query")
    assert [(one["pointer"], one["detail"]) for one in problem["errors"]] == [
        ("authority", "needs patient"),
        ("as_known_at", "needs patient"),
    ]


@pytest.mark.parametrize("path", [FLAGS, TIMELINE])
@pytest.mark.parametrize(
    ("moment", "detail"),
    [
        (said(NOW + timedelta(days=1)), "is in the future"),
        ("2026-11-20T12:00:00", "has no offset"),
        ("yesterday", "is not a time"),
    ],
)
def test_a_moment_that_cannot_be_meant_is_refused(corrected, path, moment, detail):
    problem = as_problem(corrected.client.get(f"{path}?as_known_at={moment}"), "invalid-query")

    (error,) = problem["errors"]
    assert (error["pointer"], error["code"]) == ("as_known_at", "parameter-invalid")
    assert detail in error["detail"]


@pytest.mark.parametrize("path", [FLAGS, TIMELINE])
def test_what_was_known_then_stays_the_same_whatever_comes(corrected, path):
    then = f"{path}?as_known_at={said(BEGIN + HOUR)}"
    tag = corrected.client.get(then).headers["ETag"]

    corrected.send(panel(calcium("9.5"), status="corrected"), at=BEGIN + 4 * HOUR)

    assert corrected.client.get(then, headers={"If-None-Match": tag}).status_code == 304
