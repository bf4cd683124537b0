"""What people do about an episode, and what becomes of it when results come: tables that a reader can check.

A step is a result of calcium (its value, the status where it is not final, the day of collection; ``late`` ones come
after newer ones) or an act. A life ends with how the episode is, how its flags are in their order, and what was told
from the first act on.
"""

import pytest
from sqlalchemy import select

from service.domain.acts import ActKind, Reason, Until
from service.domain.errors import BadInput, Conflict, NotFound, Stale
from service.formats.act_asked import Asked
from service.storage.tables import flags, outbox
from service.storage.tables_acts import acts
from tests.flows.acting import ACK, DAY, DO, HOUR, OKAFOR, PATEL, Ward
from tests.flows.build import NOW, Sender, calcium, hemoglobin, panel


@pytest.fixture
def ward(means):
    return Ward(means)


# What happens; then how the episode is, how its flags are, and what was told since the first act.
# Calcium is mild from 10.5, moderate from 11.6, severe from 12.6, critical from 13.1; below that it is clear.
LIVES = {
    "it is acknowledged, and its flags with it": (
        ["11.9 on 0", "acknowledge"],
        ("acknowledged", "acknowledged", "acknowledged"),
    ),
    "the same again is told again, and stays acknowledged": (
        ["11.9 on 0", "acknowledge", "11.9 on 1"],
        ("acknowledged", "acknowledged acknowledged", "acknowledged repeated"),
    ),
    "what is critical and becomes more extreme stays acknowledged, as the severity decides and not the grade": (
        ["13.2 on 0", "acknowledge", "17.0 on 1"],
        ("acknowledged", "acknowledged acknowledged", "acknowledged repeated"),
    ),
    "what gets better stays acknowledged": (
        ["11.9 on 0", "acknowledge", "11.0 on 1"],
        ("acknowledged", "acknowledged acknowledged", "acknowledged improved"),
    ),
    "what gets worse is open again": (
        ["11.9 on 0", "acknowledge", "12.9 on 1"],
        ("open", "open open", "acknowledged escalated"),
    ),
    "what had got better and gets worse is open again, though it had been as bad": (
        ["12.9 on 0", "11.0 on 1", "acknowledge", "11.9 on 2"],
        ("open", "open open open", "acknowledged escalated"),
    ),
    "a late result that is worse opens it again": (
        ["11.0 on 0", "11.0 on 4", "acknowledge", "late 11.9 on 2"],
        ("open", "open open open", "acknowledged escalated"),
    ),
    "a late result that is not worse does not": (
        ["11.9 on 0", "11.0 on 4", "acknowledge", "late 11.9 on 2"],
        ("acknowledged", "acknowledged acknowledged acknowledged", "acknowledged repeated"),
    ),
    "a correction to something worse opens it again": (
        ["11.9 on 0", "acknowledge", "12.9 corrected on 0"],
        ("open", "superseded open", "acknowledged superseded escalated"),
    ),
    "a correction to the same severity does not": (
        ["11.9 on 0", "acknowledge", "11.8 corrected on 0"],
        ("acknowledged", "superseded acknowledged", "acknowledged superseded"),
    ),
    "a correction to something milder does not": (
        ["12.9 on 0", "acknowledge", "11.0 corrected on 0"],
        ("acknowledged", "superseded acknowledged", "acknowledged superseded"),
    ),
    "taking back the better one that was newer makes it worse again, and says so": (
        ["12.9 on 0", "11.0 on 1", "acknowledge", "11.0 entered-in-error on 1"],
        ("open", "open withdrawn", "acknowledged withdrawn escalated"),
    ),
    "it ends as any other": (
        ["11.9 on 0", "acknowledge", "9.5 on 1"],
        ("resolved", "resolved", "acknowledged resolved"),
    ),
    "once it is open again after its end, nobody has acknowledged it": (
        ["11.9 on 0", "acknowledge", "9.5 on 1", "9.5 entered-in-error on 1"],
        ("open", "open", "acknowledged resolved reopened"),
    ),
    "its only result is taken back": (
        ["11.9 on 0", "acknowledge", "11.9 entered-in-error on 0"],
        ("withdrawn", "withdrawn", "acknowledged withdrawn"),
    ),
    "it grows together with an older one that was not worse, and that is not over": (
        ["11.9 on 0", "9.5 on 1", "11.9 on 2", "acknowledge", "9.5 entered-in-error on 1"],
        ("open", "open open", "acknowledged reopened"),
    ),
    "it grows together with an older one that was worse": (
        ["12.9 on 0", "9.5 on 1", "11.9 on 2", "acknowledge", "9.5 entered-in-error on 1"],
        ("open", "open open", "acknowledged reopened"),
    ),
    "a late clear result splits it; what goes on stays acknowledged": (
        ["11.9 on 0", "11.9 on 2", "acknowledge", "late 9.5 on 1"],
        ("acknowledged", "acknowledged", "acknowledged resolved"),
    ),
    "undone, it is open again": (
        ["11.9 on 0", "acknowledge", "undo"],
        ("open", "open", "acknowledged unacknowledged"),
    ),
    "undone and acknowledged once more": (
        ["11.9 on 0", "acknowledge", "undo", "acknowledge"],
        ("acknowledged", "acknowledged", "acknowledged unacknowledged acknowledged"),
    ),
    "the same acknowledgement sent twice is one": (
        ["11.9 on 0", "acknowledge", "acknowledge"],
        ("acknowledged", "acknowledged", "acknowledged"),
    ),
    "open again because it got worse, it can be acknowledged in the same words": (
        ["11.9 on 0", "acknowledge", "12.9 on 1", "acknowledge"],
        ("acknowledged", "acknowledged acknowledged", "acknowledged escalated acknowledged"),
    ),
    "a comment, a name and a snooze leave it open, and tell nobody": (
        ["11.9 on 0", "comment", "assign", "snooze until worse"],
        ("open", "open", ""),
    ),
    "the very same panel again changes nothing": (
        ["11.9 on 0", "acknowledge", "comment", "11.9 on 0"],
        ("acknowledged", "acknowledged", "acknowledged"),
    ),
}


@pytest.mark.parametrize("life", LIVES)
def test_acts_and_results_in_their_order_end_so(ward, life):
    steps, (state, flag_states, told) = LIVES[life]
    first = next(place for place, step in enumerate(steps) if step in DO)
    for step in steps[:first]:
        ward.take(step)
    before = len(ward.told())

    for step in steps[first:]:
        ward.take(step)

    row = ward.episode()
    assert ("acknowledged" if row.acknowledged_by else row.state) == state
    assert ward.flags() == flag_states
    assert " ".join(ward.told()[before:]) == told


# What happens after the episode was snoozed, how long after the last step one looks, and whether it is still snoozed.
SNOOZES = [
    ("snooze until worse", [], 6 * DAY, True),
    ("snooze until worse", [], 7 * DAY, False),
    ("snooze until worse", ["11.9 on 1"], HOUR, True),
    ("snooze until worse", ["11.0 on 1"], HOUR, True),
    ("snooze until worse", ["12.9 on 1"], HOUR, False),
    ("snooze until worse", ["12.9 on 1", "11.0 on 2"], HOUR, False),
    ("snooze until worse", ["9.5 on 1"], HOUR, False),
    ("snooze until worse", ["9.5 on 1", "9.5 entered-in-error on 1"], HOUR, False),
    ("snooze until worse", ["unsnooze"], HOUR, False),
    ("snooze until worse", ["acknowledge", "undo"], HOUR, True),
    ("snooze until next", [], 6 * DAY, True),
    ("snooze until next", ["11.9 on 1"], HOUR, False),
    ("snooze until next", ["11.8 corrected on 0"], HOUR, False),
    ("snooze until next", ["late 11.9 on -1"], HOUR, True),
    ("snooze an hour", ["11.9 on 1"], HOUR, True),
    ("snooze an hour", ["12.9 on 1"], HOUR, False),
    ("snooze an hour", [], DAY + HOUR, False),
    ("snooze an hour", ["snooze until worse"], DAY + HOUR, True),
]


@pytest.mark.parametrize(("snooze", "steps", "after", "holds"), SNOOZES)
def test_a_snooze_ends_by_itself(ward, snooze, steps, after, holds):
    for step in ["11.9 on 0", snooze, *steps]:
        ward.take(step)

    found = ward.holds(after=after)

    assert (found.snoozed is not None) == holds


# Worst severity, what is asked, and the pointers that are refused.
NEEDS = [
    ("11.9", Asked(kind=ActKind.ACKNOWLEDGE, reason=Reason.ACTING), []),
    ("11.9", Asked(kind=ActKind.ACKNOWLEDGE, reason=Reason.OTHER), ["/note"]),
    ("12.9", Asked(kind=ActKind.ACKNOWLEDGE, reason=Reason.ACTING), ["/note"]),
    ("13.6", Asked(kind=ActKind.ACKNOWLEDGE, reason=Reason.ACTING), ["/note"]),
    ("13.6", ACK, []),
    ("12.9", DO["snooze until worse"], []),
    ("12.9", DO["snooze until next"], []),
    ("13.6", DO["snooze until worse"], ["/until", "/note"]),
    ("13.6", DO["snooze until next"], ["/until", "/note"]),
    ("13.6", Asked(kind=ActKind.SNOOZE, until_kind=Until.TIME, until=NOW - DAY + 4 * HOUR, note="n"), []),
    ("13.6", Asked(kind=ActKind.SNOOZE, until_kind=Until.TIME, until=NOW - DAY + 5 * HOUR, note="n"), ["/time"]),
    ("12.9", Asked(kind=ActKind.SNOOZE, until_kind=Until.TIME, until=NOW + 6 * DAY), []),
    ("12.9", Asked(kind=ActKind.SNOOZE, until_kind=Until.TIME, until=NOW + 7 * DAY), ["/time"]),
    ("12.9", Asked(kind=ActKind.SNOOZE, until_kind=Until.TIME, until=NOW - DAY), ["/time"]),
]


@pytest.mark.parametrize(("value", "asked", "refused"), NEEDS)
@pytest.mark.parametrize("since_then", [[], ["11.0 on 1"]], ids=["as-bad", "better-by-now"])
def test_what_is_grave_or_was_needs_more(ward, value, asked, refused, since_then):
    for step in [f"{value} on 0", *since_then]:
        ward.take(step)

    if not refused:
        assert ward.do(asked).new
        return
    with pytest.raises(BadInput) as error:
        ward.do(asked)

    assert (error.value.kind, [one.pointer for one in error.value.faults]) == ("invalid-act", refused)
    assert not ward.holds().acknowledged


# Steps, what is asked then, and the problem that it is.
REFUSED = [
    (["11.9 on 0", "9.5 on 1"], "acknowledge", "episode-not-open"),
    (["11.9 on 0", "9.5 on 1"], "assign", "episode-not-open"),
    (["11.9 on 0", "9.5 on 1"], "snooze until worse", "episode-not-open"),
    (["11.9 on 0", "11.9 entered-in-error on 0"], "acknowledge", "episode-not-open"),
    (["11.9 on 0"], "undo", "nothing-to-undo"),
    (["11.9 on 0", "acknowledge", "12.9 on 1"], "undo", "nothing-to-undo"),
    (["11.9 on 0", "acknowledge", "9.5 on 1"], "undo", "nothing-to-undo"),
    (["11.9 on 0"], "unsnooze", "nothing-to-undo"),
    (["11.9 on 0", "snooze until next", "11.9 on 1"], "unsnooze", "nothing-to-undo"),
]


@pytest.mark.parametrize(("steps", "asked", "problem"), REFUSED)
def test_what_cannot_be_done_as_things_stand_is_refused(ward, steps, asked, problem):
    for step in steps:
        ward.take(step)

    with pytest.raises(Conflict) as error:
        ward.take(asked)

    assert error.value.kind == problem


def test_somebody_else_who_acknowledges_hears_who_was_first_and_nothing_is_lost(ward):
    ward.take("11.9 on 0")
    first = ward.do(ACK)

    with pytest.raises(Conflict) as error:
        ward.do(ACK, by=OKAFOR)

    assert (error.value.kind, error.value.detail) == (
        "already-acknowledged",
        f"by the act {ward.holds().acknowledged.id}",
    )
    assert ward.holds().acknowledged.actor == PATEL
    assert first.new


def test_what_may_be_commented_on_is_everything(ward):
    for step in ["11.9 on 0", "9.5 on 1"]:
        ward.take(step)

    done = ward.do(DO["comment"])

    assert [one.note for one in done.view.acts.acts] == ["asked for the old results"]


def test_an_episode_that_there_is_not_is_not_found(ward):
    with pytest.raises(NotFound):
        ward.do(ACK, name="eps_nobody")


def test_in_bulk_a_critical_one_is_refused_and_others_are_done(ward):
    ward.take("13.6 on 0")
    ward.take("11.0 on 1")
    with pytest.raises(Conflict) as error:
        ward.do(ACK, in_bulk=True)

    ward.take("9.5 on 2")
    ward.take("12.9 on 3")

    assert error.value.kind == "one-by-one"
    assert ward.do(ACK, in_bulk=True).new


def test_an_act_to_another_version_than_was_looked_at_is_refused(ward):
    ward.take("11.9 on 0")
    looked_at = ward.episode().version
    ward.take("comment")

    with pytest.raises(Stale) as error:
        ward.do(ACK, wish=lambda version: version == looked_at)

    assert error.value.version == looked_at + 1
    assert ward.do(ACK, wish=lambda version: version == looked_at + 1).new


def test_the_same_act_sent_again_is_answered_whatever_version_it_was_made_for(ward):
    ward.take("11.9 on 0")
    looked_at = ward.episode().version
    ward.do(ACK, wish=lambda version: version == looked_at)

    again = ward.do(ACK, wish=lambda version: version == looked_at)

    assert not again.new
    assert len(again.view.acts.acts) == 1


@pytest.mark.parametrize("step", [*DO, "11.9 on 1", "11.8 corrected on 0", "late 11.0 on -1"])
def test_every_change_is_another_version(ward, step):
    ward.take("11.9 on 0")
    if step in ("undo", "unsnooze"):
        ward.take({"undo": "acknowledge", "unsnooze": "snooze until worse"}[step])
    before = ward.episode().version

    ward.take(step)

    assert ward.episode().version == before + 1


def test_an_act_says_who_when_and_how_the_episode_stood(ward):
    ward.take("12.9 on 0")
    done = ward.do(ACK)
    flag = ward.episode().last_flag_id

    (act,) = done.view.acts.acts

    assert (act.actor, act.at, act.reason, act.note) == (PATEL, ward.now, Reason.ACTING, "seen")
    assert (act.severity, act.flag) == ("severe", flag)


def test_undoing_names_what_it_undoes(ward):
    for step in ("11.9 on 0", "acknowledge", "undo"):
        ward.take(step)

    with ward.means.database.reading() as connection:
        first, second = connection.execute(select(acts).order_by(acts.c.id)).all()

    assert (first.kind, second.kind, second.undoes) == ("acknowledge", "undo", first.id)


def test_an_event_names_the_act_and_who_did_it_by_id_only(ward):
    ward.take("11.9 on 0")
    ward.take("acknowledge")

    with ward.means.database.reading() as connection:
        row = connection.execute(select(outbox).order_by(outbox.c.seq.desc())).first()

    act = ward.holds().acknowledged
    assert row.data == {
        "finding": "hypercalcemia", "severity": "moderate", "flag": act.flag, "episode": act.episode, "by": None,
        "late": False, "source": "lab-1", "collected_at": "2026-11-01T08:00:00+00:00", "act": act.id,
        "actor": "usr_patel",
    }  # fmt: skip
    assert (row.flag_id, row.episode_id, row.fanned) == (act.flag, act.episode, False)


def test_nobody_is_told_of_acts_on_trials(means):
    ward = Ward(means)
    ward.sender = Sender(means, source="selftest")
    ward.take("11.9 on 0")

    ward.take("acknowledge")

    with means.database.reading() as connection:
        assert [row.fanned for row in connection.execute(select(outbox))] == [True, True]


def test_acts_of_an_episode_that_was_merged_are_shown_with_the_one_it_went_on_in(ward):
    for step in ("11.9 on 0", "comment", "9.5 on 1", "11.9 on 2", "assign", "9.5 entered-in-error on 1"):
        ward.take(step)

    found = ward.do(ACK).view

    assert [one.kind.value for one in found.acts.acts] == ["comment", "assign", "acknowledge"]
    assert len(found.episode.names) == 2
    assert found.episode.holds.assigned.assignee == "team-red"


def test_nobody_is_assigned_after_it_was_given_back(ward):
    for step in ("11.9 on 0", "assign"):
        ward.take(step)
    given = ward.holds().assigned

    ward.do(Asked(kind=ActKind.ASSIGN, assignee=None))

    assert (given.assignee, ward.holds().assigned) == ("team-red", None)


def test_the_events_and_flags_of_other_findings_are_left_alone(means):
    ward = Ward(means)
    ward.sender.send(panel(calcium("11.9"), hemoglobin("9.1")), at=NOW - DAY)

    ward.take("acknowledge")

    with means.database.reading() as connection:
        rows = connection.execute(select(flags.c.finding, flags.c.state)).all()
    assert {row.finding: row.state for row in rows} == {
        "hypercalcemia": "acknowledged",
        "anemia": "open",
        "pattern": "open",
    }
