"""Escalation: the life of a critical episode, minute by minute, and who is told of it."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from service.delivery.outcome import Later, Refused, Sent
from service.domain.acts import ActKind, Until
from service.domain.escalation import Policy
from service.domain.rules import Severity
from service.domain.subscriptions import SubscriptionState
from service.flows import dispatch
from service.flows import escalation as flow
from service.flows.dispatch import Done, Room, Shown
from service.flows.escalation import escalate
from service.flows.incoming import order
from service.flows.intake import take_in
from service.formats import native
from service.formats.act_asked import Asked
from service.storage import escalation as rows
from service.storage import redelivery, subscriptions
from service.storage.panels import Message
from service.storage.tables import outbox
from service.storage.tables_delivery import deliveries
from tests.flows.acting import ACK, DO, PATEL, UNDO, Ward
from tests.flows.build import NOW, Sender, calcium, encoded, hemoglobin, panel
from tests.flows.telling import fan_all_out, set_state, told_by
from tests.flows.watching import CRITICAL, MINUTE, THREE, overdue, policy_of, staffed, taken


@pytest.fixture
def staff(database):
    return staffed(database)


@pytest.fixture
def ward(means, staff):
    flow.set_policy(THREE, means, by=PATEL, now=NOW)
    return Ward(means)


SNOOZED = Asked(kind=ActKind.SNOOZE, until_kind=Until.TIME, until=NOW + 120 * MINUTE, note="in theatre")


def do(ward, what, at):
    """What a line of the table below says."""
    ward.now = NOW + at * MINUTE
    word, _, about = what.partition(" ")
    if word in ACTS:
        ward.do(ACTS[word])
    elif word in STATES:
        with ward.means.database.reading() as connection:
            one = subscriptions.find(connection, f"sub_{about}")
        set_state(ward.means.database, one, STATES[word])
    elif word in BECOMES:
        become(ward.means, BECOMES[word], ward.now)
    elif word == "replay":
        replay(ward.means, ward.now)
    elif word == "withdraw":
        wrong = panel(calcium(CRITICAL, id="C1", status="entered-in-error"), on=0)
        ward.sender.send(wrong, at=ward.now)
    elif word == "wrong":
        value, _, minute = about.partition(" ")
        ward.sender.send(panel(calcium(value, status="entered-in-error"), on=int(minute) / 1440), at=ward.now)
    else:
        ward.sender.send(panel(calcium(about), on=at / 1440), at=ward.now)


def become(means, outcome, now):
    """What was told so far is sent, and ends like this."""
    fan_all_out(means, now=now)
    while found := dispatch.claim(means, by="dsp_1", room=Room(most=100, each=100), now=now):
        tasks = dispatch.gather(means, found, SHOWN)
        dispatch.settle(means, [Done(task=one, at=now, milliseconds=1, outcome=outcome) for one in tasks], now=now)


def replay(means, now):
    """All that went through is sent once more."""
    with means.database.transaction() as connection:
        for name in connection.execute(select(deliveries.c.id)).scalars().all():
            redelivery.again(connection, name, now=now)


SHOWN = Shown(flag=lambda _view: {}, resource=lambda _connection, _view: {}, source="urn:us")
BECOMES = {
    "hear": Sent(status=204),
    "refuse": Refused(why="refused", status=400),
    "gone": Refused(why="gone", status=410, gone=True),
    "fail": Later(why="no connection"),
}
ACTS = {"acknowledge": ACK, "undo": UNDO, "snooze": SNOOZED, "unsnooze": DO["unsnooze"]}
STATES = {
    "pause": SubscriptionState.PAUSED,
    "resume": SubscriptionState.ACTIVE,
    "delete": SubscriptionState.DELETED,
}


# A critical result at minute 0. What is done at which minute -> who is told at which minute, of four hours looked at
# every five minutes.
LIVES = {
    "nothing": ({}, "nurse 15, doctor 30, chief 60"),
    "acknowledged before the first step": ({14: "acknowledge"}, ""),
    "acknowledged between two steps": ({20: "acknowledge"}, "nurse 15"),
    "acknowledged at the very minute of a step": ({30: "acknowledge"}, "nurse 15"),
    "acknowledged and undone": ({20: "acknowledge", 100: "undo"}, "nurse 15, nurse 115, doctor 130, chief 160"),
    "resolved": ({40: "result 9.5"}, "nurse 15, doctor 30"),
    "withdrawn": ({16: "withdraw"}, "nurse 15"),
    "no longer critical": ({16: "result 11.9"}, "nurse 15"),
    "again, as bad as before": ({16: "result 13.9"}, "nurse 15, doctor 30, chief 60"),
    "better, and worse again": (
        {16: "result 11.9", 50: "result 13.9"},
        "nurse 15, nurse 65, doctor 80, chief 110",
    ),
    "better, which was an error": (
        {16: "result 11.9", 50: "wrong 11.9 16"},
        "nurse 15, nurse 65, doctor 80, chief 110",
    ),
    "resolved, and critical again": (
        {16: "result 9.5", 50: "result 13.9"},
        "nurse 15, nurse 65, doctor 80, chief 110",
    ),
    "snoozed until minute 120": ({20: "snooze"}, "nurse 15, nurse 135, doctor 150, chief 180"),
    "snoozed, and not any more": ({5: "snooze", 50: "unsnooze"}, "nurse 65, doctor 80, chief 110"),
    "snoozed and acknowledged": ({5: "snooze", 50: "acknowledge"}, ""),
    "acknowledged and undone after a snooze": (
        {5: "snooze", 130: "acknowledge", 140: "undo"},
        "nurse 155, doctor 170, chief 200",
    ),
    "the first is paused": ({1: "pause nurse"}, "doctor 15, chief 60"),
    "the first two are paused": ({1: "pause nurse", 2: "pause doctor"}, "chief 15"),
    "the last is deleted": ({1: "delete chief"}, "nurse 15, doctor 30"),
    "paused after it heard": ({16: "hear", 17: "pause nurse"}, "nurse 15, doctor 30, chief 60"),
    "paused after it was told, and before it heard": ({16: "pause nurse"}, "nurse 15, doctor 20, chief 60"),
    "paused while it fails": ({16: "fail", 17: "pause nurse"}, "nurse 15, doctor 20, chief 60"),
    "deleted after it was told, and before it heard": ({16: "delete nurse"}, "nurse 15, doctor 20, chief 60"),
    "deleted after it heard": ({16: "hear", 17: "delete nurse"}, "nurse 15, doctor 30, chief 60"),
    "the first fails": ({16: "fail"}, "nurse 15, doctor 30, chief 60"),
    "the first refuses it": ({16: "refuse"}, "nurse 15, doctor 20, chief 60"),
    "the first two refuse it": ({16: "refuse", 21: "refuse"}, "nurse 15, doctor 20, chief 25"),
    "the first is gone": ({16: "gone"}, "nurse 15, doctor 20, chief 60"),
    "the first is gone, and is back": ({16: "gone", 22: "resume nurse"}, "nurse 15, doctor 20, chief 60"),
    "the last refuses it": ({61: "refuse"}, "nurse 15, doctor 30, chief 60"),
    "the last is gone, until it is back": (
        {31: "hear", 61: "gone", 100: "resume chief"},
        "nurse 15, doctor 30, chief 60, chief 100",
    ),
    "the first heard it, and refuses it a second time": (
        {16: "hear", 17: "replay", 18: "refuse"},
        "nurse 15, doctor 30, chief 60",
    ),
    "acknowledged before it was refused": ({16: "acknowledge", 17: "refuse"}, "nurse 15"),
    "all are paused, until one is back": (
        {1: "pause nurse", 2: "pause doctor", 3: "pause chief", 100: "resume doctor"},
        "doctor 100",
    ),
}


@pytest.mark.parametrize(("done", "expected"), LIVES.values(), ids=LIVES)
def test_the_life_of_a_critical_episode(ward, done, expected):
    told = []
    ward.sender.send(panel(calcium(CRITICAL, id="C1"), on=0), at=NOW)

    for minute in range(240):
        if minute in done:
            do(ward, done[minute], minute)
        if minute % 5 == 0 and escalate(ward.means, now=NOW + minute * MINUTE):
            told += [f"{who} {minute}" for who, _ in overdue(ward.means.database)[len(told) :]]

    assert ", ".join(told) == expected


def test_an_overdue_event_goes_to_the_one_it_is_meant_for_and_says_what_waits(ward, database):
    ward.sender.send(panel(calcium(CRITICAL), on=0), at=NOW)

    told = escalate(ward.means, now=NOW + 31.5 * MINUTE)
    fan_all_out(ward.means)

    assert (told, told_by(database)) == (2, {"nurse": ["overdue"], "doctor": ["overdue"]})
    row = ward.episode()
    with database.reading() as connection:
        event = connection.execute(select(outbox).where(outbox.c.only_for == "sub_doctor")).one()
    assert (event.patient_id, event.episode_id, event.flag_id) == (row.patient_id, row.id, row.last_flag_id)
    assert event.data == {
        "finding": "hypercalcemia",
        "severity": "critical",
        "flag": row.last_flag_id,
        "episode": row.id,
        "step": 2,
        "waiting_minutes": 31,
        "source": "lab-1",
        "collected_at": row.last_at.isoformat(),
    }


@pytest.mark.parametrize(
    ("least", "value", "expected"),
    [
        ("critical", "12.9", []),
        ("severe", "12.9", [("nurse", 15)]),
        ("severe", "13.9", [("nurse", 15)]),
        ("severe", "11.9", []),
    ],
)
def test_only_what_is_grave_enough_is_escalated(means, staff, database, least, value, expected):
    flow.set_policy(policy_of(("nurse", 15), severity=Severity(least)), means, by=PATEL, now=NOW)
    Sender(means).send(panel(calcium(value)), at=NOW)

    escalate(means, now=NOW + 15 * MINUTE)

    assert overdue(database) == expected


def test_a_new_worsening_begins_anew(means, staff, database):
    flow.set_policy(policy_of(("nurse", 15), ("doctor", 30), severity=Severity.SEVERE), means, by=PATEL, now=NOW)
    sender = Sender(means)
    sender.send(panel(calcium("12.9"), on=0), at=NOW)
    escalate(means, now=NOW + 15 * MINUTE)
    sender.send(panel(calcium(CRITICAL), on=1), at=NOW + 20 * MINUTE)

    for minute in (30, 35, 50):
        escalate(means, now=NOW + minute * MINUTE)

    assert overdue(database) == [("nurse", 15), ("nurse", 15), ("doctor", 30)]


def send_marked(means, value, **marks):
    body = encoded(panel(calcium(value)))
    message = Message(body=body, content_type="application/json", source="lab-1", received_at=NOW, **marks)
    take_in(order(native.read(body, now=NOW), message, means), means)


@pytest.mark.parametrize("mark", ["test", "quiet"])
def test_trials_and_history_never_escalate(ward, database, mark):
    send_marked(ward.means, CRITICAL, **{mark: True})

    told = escalate(ward.means, now=NOW + 15 * MINUTE)

    assert (told, overdue(database)) == (0, [])


def test_what_became_grave_by_history_alone_never_escalates(ward, database):
    ward.sender.send(panel(calcium("11.9", id="C1")), at=NOW)
    send_marked(ward.means, CRITICAL, quiet=True)

    escalate(ward.means, now=NOW + 15 * MINUTE)

    assert (ward.episode().level, overdue(database)) == ("critical", [])


def test_a_snooze_until_the_next_result_ends_with_the_first_that_comes(means, staff, database):
    flow.set_policy(policy_of(("nurse", 15), severity=Severity.SEVERE), means, by=PATEL, now=NOW)
    ward = Ward(means)
    ward.now = NOW
    ward.sender.send(panel(calcium("12.9"), on=0), at=NOW)
    ward.take("snooze until next")
    ward.sender.send(panel(calcium("12.9"), on=1), at=NOW + 60 * MINUTE)
    ward.sender.send(panel(calcium("12.9"), on=2), at=NOW + 70 * MINUTE)

    told = [escalate(means, now=NOW + minute * MINUTE) for minute in (60, 74, 75, 85)]

    assert (told, overdue(database)) == ([0, 0, 1, 0], [("nurse", 15)])


def test_what_waited_for_days_when_it_is_first_seen_tells_the_last_one_only(ward, database):
    ward.sender.send(panel(calcium(CRITICAL)), at=NOW)

    escalate(ward.means, now=NOW + timedelta(days=3))
    escalate(ward.means, now=NOW + timedelta(days=4))

    assert overdue(database) == [("chief", 3 * 1440)]
    assert taken(database) == [(1, "too_late"), (2, "too_late"), (3, "told")]


# A critical result at minute 0. When which policy was set -> who is told at which minute of four hours.
HOUR = 60
POLICIES = {
    "before": ({-60: THREE}, "nurse 15, doctor 30, chief 60"),
    "long after it came": ({100: THREE}, "nurse 115, doctor 130, chief 160"),
    "days after it came": ({3 * 1440: THREE}, "nurse 4335, doctor 4350, chief 4380"),
    "changed meanwhile": (
        {0: THREE, 20: policy_of(("nurse", 15), ("doctor", 40))},
        "nurse 15, doctor 40",
    ),
    "switched off and on": ({0: THREE, 16: Policy(), 100: THREE}, "nurse 15, doctor 130, chief 160"),
    "for what is severe at first, then graver only": (
        {0: policy_of(("nurse", 15), severity=Severity.SEVERE), 10: THREE},
        "nurse 15, doctor 30, chief 60",
    ),
}


@pytest.mark.parametrize(("policies", "expected"), POLICIES.values(), ids=POLICIES)
def test_nobody_is_late_by_a_policy_that_there_was_not(means, staff, database, policies, expected):
    Sender(means).send(panel(calcium(CRITICAL)), at=NOW)

    for minute in range(min(policies), max(policies) + 4 * HOUR):
        if minute in policies:
            flow.set_policy(policies[minute], means, by=PATEL, now=NOW + minute * MINUTE)
        if minute % 5 == 0:
            escalate(means, now=NOW + minute * MINUTE)

    assert ", ".join(f"{who} {minute}" for who, minute in overdue(database)) == expected


def test_what_is_severe_is_late_since_it_is_escalated(means, staff, database):
    Sender(means).send(panel(calcium("12.9")), at=NOW)
    flow.set_policy(THREE, means, by=PATEL, now=NOW)
    wider = policy_of(("nurse", 15), severity=Severity.SEVERE)
    flow.set_policy(wider, means, by=PATEL, now=NOW + 60 * MINUTE)

    told = [escalate(means, now=NOW + minute * MINUTE) for minute in (60, 74, 75)]

    assert (told, overdue(database)) == ([0, 0, 1], [("nurse", 75)])


def test_a_clock_that_goes_back_and_forth_takes_no_step_twice(ward, database):
    ward.sender.send(panel(calcium(CRITICAL)), at=NOW)

    for minute in (15, -600, 14, 15, 16, -1, 30, 15, 31):
        escalate(ward.means, now=NOW + minute * MINUTE)

    assert overdue(database) == [("nurse", 15), ("doctor", 30)]


def test_that_nobody_can_be_told_is_kept_counted_and_ends_when_somebody_can(ward, staff, database):
    ward.sender.send(panel(calcium(CRITICAL)), at=NOW)
    for one in staff.values():
        set_state(database, one, SubscriptionState.PAUSED)

    for minute in (15, 16, 17):
        escalate(ward.means, now=NOW + minute * MINUTE)
    alone = taken(database), counted(database).unheard
    set_state(database, staff["chief"], SubscriptionState.ACTIVE)
    escalate(ward.means, now=NOW + 18 * MINUTE)

    assert alone == ([(1, "unheard")], 1)
    assert (overdue(database), counted(database).unheard) == ([("chief", 18)], 0)
    assert taken(database) == [(1, "passed_over"), (3, "told")]


def counted(database):
    with database.reading() as connection:
        return rows.counted(connection, since=NOW)


def test_another_policy_is_tried_for_those_of_whom_nobody_could_be_told(ward, staff, database):
    ward.sender.send(panel(calcium(CRITICAL)), at=NOW)
    set_state(database, staff["nurse"], SubscriptionState.PAUSED)
    flow.set_policy(policy_of(("nurse", 15)), ward.means, by=PATEL, now=NOW)
    escalate(ward.means, now=NOW + 15 * MINUTE)

    flow.set_policy(policy_of(("doctor", 20)), ward.means, by=PATEL, now=NOW + 16 * MINUTE)
    forgotten = counted(database).unheard
    escalate(ward.means, now=NOW + 20 * MINUTE)

    assert (forgotten, overdue(database)) == (0, [("doctor", 20)])


def test_each_finding_of_a_patient_waits_by_itself(ward, database):
    ward.sender.send(panel(calcium(CRITICAL), hemoglobin("6.1")), at=NOW)
    ward.now = NOW + MINUTE
    ward.do(ACK)

    escalate(ward.means, now=NOW + 15 * MINUTE)

    with database.reading() as connection:
        told = connection.execute(select(outbox.c.data).where(outbox.c.type == "lab.flag.overdue")).scalars().all()
    assert [one["finding"] for one in told] == ["anemia"]


def test_a_corrected_result_that_is_as_bad_goes_on_waiting(ward, database):
    ward.sender.send(panel(calcium(CRITICAL, id="C1"), on=0), at=NOW)
    corrected = panel(calcium("14.1", id="C1", status="corrected"), on=0)
    ward.sender.send(corrected, at=NOW + 10 * MINUTE)

    escalate(ward.means, now=NOW + 15 * MINUTE)

    assert overdue(database) == [("nurse", 15)]


def test_a_critical_result_that_counts_again_waits_since_that_was_told(ward, database):
    ward.sender.send(panel(calcium(CRITICAL, id="C1"), on=0), at=NOW)
    ward.sender.send(panel(calcium("11.0", id="C2"), on=1), at=NOW + 5 * MINUTE)
    ward.sender.send(panel(calcium("11.0", id="C2", status="entered-in-error"), on=1), at=NOW + 10 * MINUTE)

    told = [escalate(ward.means, now=NOW + minute * MINUTE) for minute in (15, 24, 25)]

    assert told == [0, 0, 1]
