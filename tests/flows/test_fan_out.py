"""Who is told of what: each event once and in order; what is taken back reaches everyone who was told."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from service.domain.events import Event
from service.domain.subscriptions import SubscriptionState
from service.flows.incoming import order
from service.flows.intake import take_in
from service.flows.means import Means
from service.formats import native
from service.storage.database import Database
from service.storage.panels import Message
from tests.flows.acting import Ward
from tests.flows.build import NOW, Sender, calcium, day, encoded, hemoglobin, panel, result
from tests.flows.telling import fan_all_out, put_out, rows, set_state, subscribe, told_by


@pytest.fixture
def sender(means):
    return Sender(means)


ACKNOWLEDGED = ("lab.flag.acknowledged",)
MILD, MODERATE, CRITICAL = "10.9", "11.9", "13.5"
CLEAR = "9.8"


def sent(*values: str):
    """Calcium, day after day; a repeated accession corrects the day's value."""
    return [panel(calcium(value), on=number, accession=f"A-{number}") for number, value in enumerate(values)]


def corrected(number: int, value: str, status: str = "corrected"):
    return panel(calcium(value, status=status), on=number, accession=f"A-{number}")


# (what is asked for, what is sent in order, what is told)
CASES = [
    ("everything usual", {}, sent(MODERATE), ["raised"]),
    ("a repeat is not told unless it is asked for", {}, sent(MODERATE, MODERATE), ["raised"]),
    ("a repeat that is asked for", {"types": ("lab.flag.repeated",)}, sent(MODERATE, MODERATE), ["repeated"]),
    ("worse, then over", {}, sent(MODERATE, CRITICAL, CLEAR), ["raised", "escalated", "resolved"]),
    ("too mild to be told", {"severities": ("critical",)}, sent(MILD, CLEAR), []),
    ("told when it becomes critical, and when it is over", {"severities": ("critical",)}, sent(MILD, CRITICAL, CLEAR),
     ["escalated", "resolved"]),
    ("another finding", {"findings": ("anemia",)}, sent(CRITICAL), []),
    ("another source", {"sources": ("lab-2",)}, sent(CRITICAL), []),
    ("this source", {"sources": ("lab-1", "lab-2")}, sent(CRITICAL), ["raised"]),
    ("corrected to something milder than is asked for", {"severities": ("critical",)},
     [*sent(CRITICAL), corrected(0, MILD)], ["raised", "superseded"]),
    ("withdrawn, though only new ones are asked for", {"types": ("lab.flag.raised",)},
     [*sent(CRITICAL), corrected(0, CRITICAL, "entered-in-error")], ["raised", "withdrawn"]),
    ("resolved, though only new ones are asked for", {"types": ("lab.flag.raised",)}, sent(MILD, CLEAR),
     ["raised", "resolved"]),
    ("the flag that took the place of one that was told is taken back, too", {"severities": ("critical",)},
     [*sent(CRITICAL), corrected(0, MILD), corrected(0, CLEAR)], ["raised", "superseded", "superseded"]),
    ("over, and open again after all", {"severities": ("critical",)},
     [*sent(CRITICAL, CLEAR), corrected(1, CRITICAL, "entered-in-error")], ["raised", "resolved", "reopened"]),
    ("over, and open again as part of a later episode that is mild", {"severities": ("critical",)},
     [*sent(CRITICAL, CLEAR, MILD), corrected(1, CLEAR, "entered-in-error")], ["raised", "resolved", "reopened"]),
    ("over, and not over after all: the result that ended it was wrong", {"severities": ("critical",)},
     [*sent(CRITICAL, CLEAR, MILD), corrected(1, MILD)], ["raised", "resolved", "reopened"]),
    ("open again as part of a later episode, though only what is over is asked for", {"types": ("lab.flag.resolved",)},
     [*sent(CRITICAL, CLEAR, MILD), corrected(1, CLEAR, "entered-in-error")], ["resolved", "reopened"]),
    ("not judged, for a reason that can be mended", {"types": ("lab.result.not_evaluable",)},
     [panel(result("calcium", "11.9", "furlong"))], ["not_evaluable"]),
    ("an unknown code is nobody's event", {"types": ("lab.result.not_evaluable",)},
     [panel({"code": "99999-9", "value": "1", "unit": "g/L"})], []),
    ("old news are not asked for", {"collected_within_hours": 24}, [panel(calcium(CRITICAL), on=0)], []),
    ("fresh news", {"collected_within_hours": 24}, [panel(calcium(CRITICAL), on=18.5)], ["raised"]),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "messages", "told"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_who_is_told_of_what(means, sender, database, wanted, messages, told):
    subscribe(database, "ward", **wanted)

    for message in messages:
        sender.send(message)
        fan_all_out(means)

    assert told_by(database).get("ward", []) == told


@pytest.mark.parametrize(("wanted", "messages", "told"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_it_does_not_matter_how_many_events_are_fanned_out_together(means, sender, database, wanted, messages, told):
    subscribe(database, "ward", **wanted)

    for message in messages:
        sender.send(message)
    fan_all_out(means)

    assert told_by(database).get("ward", []) == told


def test_a_subscription_is_told_from_when_it_was_made(means, sender, database):
    sender.send(panel(calcium(CRITICAL), on=0))
    subscribe(database, "ward")

    sender.send(panel(hemoglobin("6.5"), on=1))
    fan_all_out(means)

    assert [(row.type, row.number) for row in rows(database)] == [("lab.flag.raised", 1)]


def test_what_happens_while_a_subscription_is_paused_waits_for_it(means, sender, database):
    ward = subscribe(database, "ward")
    set_state(database, ward, SubscriptionState.PAUSED)

    sender.send(panel(calcium(CRITICAL)))
    fan_all_out(means)

    assert [(row.type, row.state) for row in rows(database)] == [("lab.flag.raised", "waiting")]


def test_a_deleted_subscription_is_told_nothing(means, sender, database):
    ward = subscribe(database, "ward")
    set_state(database, ward, SubscriptionState.DELETED)

    sender.send(panel(calcium(CRITICAL)))

    assert (fan_all_out(means), rows(database)) == (1, [])


def test_an_event_for_one_subscription_goes_to_that_one_only(means, sender, database):
    subscribe(database, "ward")
    subscribe(database, "pager", severities=("critical",))
    overdue = Event(id="evt_1", type="lab.flag.overdue", at=NOW, only_for="sub_pager", data={"severity": "severe"})

    put_out(database, overdue)
    fan_all_out(means)

    assert told_by(database) == {"pager": ["overdue"]}


def test_whoever_was_told_only_because_it_was_overdue_is_told_when_it_is_taken_back(means, sender, database):
    subscribe(database, "pager", findings=("anemia",))
    receipt = sender.send(panel(calcium(CRITICAL), accession="A-0"))
    (shown,) = receipt.flags
    told = {"patient": receipt.patient, "episode": shown.episode, "flag": shown.flag.id}
    put_out(database, Event(id="evt_1", type="lab.flag.overdue", at=NOW, only_for="sub_pager", data={}, **told))

    sender.send(corrected(0, CRITICAL, "entered-in-error"))
    fan_all_out(means)

    assert told_by(database) == {"pager": ["overdue", "withdrawn"]}


# (what is asked for, what happens, what is told)
ACKNOWLEDGEMENTS = [
    ("undone", {"types": ACKNOWLEDGED}, ["13.9 on 0", "acknowledge", "undo"], ["acknowledged", "unacknowledged"]),
    ("ended by something worse", {"types": ACKNOWLEDGED, "severities": ("severe",)},
     ["12.9 on 0", "acknowledge", "13.9 on 1"], ["acknowledged", "escalated"]),
    ("worse only after its end", {"types": ACKNOWLEDGED},
     ["12.9 on 0", "acknowledge", "undo", "13.9 on 1"], ["acknowledged", "unacknowledged"]),
    ("given again, and ended again", {"types": ACKNOWLEDGED},
     ["12.9 on 0", "acknowledge", "undo", "acknowledge", "13.9 on 1"],
     ["acknowledged", "unacknowledged", "acknowledged", "escalated"]),
    ("not heard of", {"types": ("lab.flag.overdue",)}, ["12.9 on 0", "acknowledge", "13.9 on 1"], []),
]  # fmt: skip


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "together"])
@pytest.mark.parametrize(
    ("wanted", "steps", "told"), [case[1:] for case in ACKNOWLEDGEMENTS], ids=[case[0] for case in ACKNOWLEDGEMENTS]
)
def test_whoever_heard_of_an_acknowledgement_hears_of_its_end(means, database, wanted, steps, told, together):
    subscribe(database, "ward", **wanted)
    ward = Ward(means)

    for step in steps:
        ward.take(step)
        _ = together or fan_all_out(means)
    fan_all_out(means)

    assert told_by(database).get("ward", []) == told


@pytest.mark.parametrize(("sources", "told"), [((), ["silent", "resumed"]), (("lab-2",), [])])
def test_whoever_wants_to_hear_of_silence_hears_of_its_end(means, database, sources, told):
    subscribe(database, "ward", types=("lab.feed.silent",), sources=sources)

    for word in ("silent", "resumed"):
        put_out(database, Event(id=f"evt_{word}", type=f"lab.feed.{word}", at=NOW, data={"source": "lab-1"}))
    fan_all_out(means)

    assert told_by(database).get("ward", []) == told


def test_nobody_is_told_of_tests_and_of_history(means, database):
    subscribe(database, "ward")
    for mark in ("test", "quiet"):
        put_out(database, Event(id=f"evt_{mark}", type="lab.flag.raised", at=NOW, data={mark: True}))

    assert (fan_all_out(means), rows(database)) == (0, [])


@pytest.mark.parametrize(("severities", "told"), [((), ["repeated"]), (("critical",), ["repeated"]), (("mild",), [])])
def test_a_finding_that_began_as_history_and_goes_on_is_told_as_if_it_were_new(means, database, severities, told):
    subscribe(database, "ward", severities=severities)
    history = Message(body=b"", content_type="application/json", source="lab-1", received_at=NOW, quiet=True)
    body = encoded(panel(calcium("15.0"), on=0, accession="A-0"))
    take_in(order(native.read(body, now=NOW), history, means), means)

    Sender(means).send(panel(calcium("15.6"), on=1, accession="A-1"))
    fan_all_out(means)

    assert told_by(database).get("ward", []) == told


def test_an_event_without_a_patient_is_told(means, database):
    subscribe(database, "ward")
    put_out(database, Event(id="evt_1", type="lab.feed.silent", at=NOW, data={"source": "lab-1"}))

    fan_all_out(means)

    assert [(row.lane, row.patient_id, row.flag_id) for row in rows(database)] == [("lab-1", None, None)]


def test_the_numbers_of_a_subscription_have_no_gap_and_follow_the_outbox(means, sender, database):
    subscribe(database, "ward")
    subscribe(database, "calcium", findings=("hypercalcemia",))

    for number in range(4):
        sender.send(panel(calcium(MODERATE), hemoglobin("9.1"), on=3 * number))
        sender.send(panel(calcium(CLEAR), hemoglobin("14"), on=3 * number + 1))
        fan_all_out(means, now=NOW + timedelta(minutes=number))

    for name in ("ward", "calcium"):
        mine = [row for row in rows(database) if row.subscription_id == f"sub_{name}"]
        assert [row.number for row in mine] == list(range(1, len(mine) + 1))
        assert [row.event_seq for row in mine] == sorted(row.event_seq for row in mine)
    assert len(told_by(database)["calcium"]) == 8


def test_several_that_fan_out_at_the_same_time_tell_nobody_twice_and_leave_nothing_out(means, database):
    subscribe(database, "ward")
    put_out(database, *(Event(id=f"evt_{n:04}", type="lab.flag.raised", at=NOW, data={}) for n in range(1200)))

    def all_of_it(number: int) -> int:
        own = Means(
            database=Database.open(database.engine.url.render_as_string(hide_password=False), pool_size=2),
            catalogue=means.catalogue,
        )
        try:
            return fan_all_out(own)
        finally:
            own.database.close()

    with ThreadPoolExecutor(4) as threads:
        spread = list(threads.map(all_of_it, range(4)))
    fan_all_out(means)

    found = rows(database)
    assert sum(spread) <= 1200
    assert [row.event_id for row in found] == [f"evt_{n:04}" for n in range(1200)]
    assert [row.number for row in found] == list(range(1, 1201))


def test_an_event_that_was_fanned_out_has_its_deliveries_in_the_same_transaction(means, sender, database, monkeypatch):
    subscribe(database, "ward")
    sender.send(panel(calcium(CRITICAL), on=day(0).day))

    def fails(*_: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr("service.storage.deliveries.fanned", fails)
    with pytest.raises(RuntimeError, match="killed"):
        fan_all_out(means)
    monkeypatch.undo()

    assert rows(database) == []
    assert (fan_all_out(means), told_by(database)) == (1, {"ward": ["raised"]})
