"""What is said of an earlier moment where it cannot be told for certain any more.

Law: what is changed here is what the service itself never changes: rows behind its back, and the files it judges by.
"""

from dataclasses import replace

import pytest
from sqlalchemy import delete, select, update

from service.domain.errors import Unavailable
from service.flows import as_known
from service.storage import history, timeline
from service.storage.history import FlagFilter
from service.storage.tables import flags, inbox, outbox, panels, patients, verdicts
from service.storage.timeline import TimelineFilter
from tests.flows.build import NOW, WOMAN, Sender, alp, calcium, hemoglobin, panel

FIRST, SECOND = NOW.replace(hour=8), NOW.replace(hour=9)


@pytest.fixture
def sender(means):
    return Sender(means)


def patient(database):
    with database.reading() as connection:
        return connection.execute(select(patients.c.id)).scalar_one()


def flags_then(means, moment):
    """Finding, severity, state and episode of each flag, and how certain it is."""
    wanted = FlagFilter(patient=patient(means.database), as_known_at=moment)
    with means.database.reading() as connection:
        rows, certainty = as_known.flag_page(connection, wanted, catalogue=means.catalogue, after=None, limit=50)
    return [told_of(row) for row in rows], certainty


def told_of(row):
    return row.finding, row.severity, row.state, row.why, row.episode_id, row.superseded_by, row.changed_at


def flags_now(means):
    wanted = FlagFilter(patient=patient(means.database))
    with means.database.reading() as connection:
        return [told_of(row) for row in history.flag_page(connection, wanted, after=None, limit=50)]


def results_then(means, moment):
    """Value, outcome, words and flag of each result."""
    wanted = TimelineFilter(patient=patient(means.database), as_known_at=moment)
    with means.database.reading() as connection:
        return shown(*as_known.timeline_page(connection, wanted, catalogue=means.catalogue, after=None, limit=50)[:1])


def results_now(means):
    wanted = TimelineFilter(patient=patient(means.database))
    with means.database.reading() as connection:
        return shown(timeline.timeline_page(connection, wanted, after=None, limit=50))


def shown(entries):
    return [
        (one.result.value, one.verdict.outcome, one.verdict.reason, one.verdict.why, one.flag and one.flag.state)
        for one in entries
    ]


def behind_the_back(database, *statements):
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(statement)


# As panels were kept before it was noted what each tells of the person.
OLDER = update(panels).values(told_sex=None)


def test_the_messages_are_not_needed(sender, means, database):
    sender.send(panel(hemoglobin("12.5"), patient={**WOMAN, "sex": "male"}), at=FIRST)
    then = flags_now(means)
    sender.send(panel(alp("90"), on=1), at=SECOND)
    behind_the_back(database, delete(inbox))

    found, certainty = flags_then(means, FIRST)

    assert (found, certainty.exact) == (then, True)


def test_without_the_messages_the_facts_of_today_are_used_and_it_is_said(sender, means, database):
    sender.send(panel(calcium("11.9")), at=FIRST)
    then = flags_now(means)
    sender.send(panel(calcium("12.9"), status="corrected"), at=SECOND)
    behind_the_back(database, delete(inbox), OLDER)

    found, certainty = flags_then(means, FIRST)

    assert found == then
    assert (certainty.exact, "a message is not kept any more" in certainty.notice) == (False, True)


def test_a_message_that_came_later_is_not_missed(sender, means, database):
    sender.send(panel(calcium("11.9")), at=FIRST)
    sender.send(panel(calcium("12.9"), on=1), at=SECOND)
    later = select(panels.c.inbox_id).where(panels.c.received_at == SECOND)
    behind_the_back(database, OLDER, delete(inbox).where(inbox.c.id.in_(later)))

    assert flags_then(means, FIRST)[1].exact
    assert not flags_then(means, SECOND)[1].exact


def test_a_flag_that_the_facts_of_today_do_not_raise_is_shown_as_it_stands_today(sender, means, database):
    sender.send(panel(hemoglobin("12.5"), patient={**WOMAN, "sex": "male"}), at=FIRST)
    sender.send(panel(alp("90"), on=1), at=SECOND)
    behind_the_back(database, delete(inbox), OLDER)

    found, certainty = flags_then(means, FIRST)

    assert found == flags_now(means)
    assert [one[2] for one in found] == ["superseded"]
    assert (certainty.exact, "with the facts" in certainty.notice) == (False, True)


def test_a_flag_that_is_not_raised_again_is_said_and_shown_as_it_stands_today(sender, means, database):
    sender.send(panel(calcium("11.9"), hemoglobin("9.1")), at=FIRST)
    behind_the_back(database, update(flags).where(flags.c.finding == "anemia").values(finding="raised_alp"))

    found, certainty = flags_then(means, FIRST)

    assert found == flags_now(means)
    assert (certainty.exact, "come out otherwise" in certainty.notice) == (False, True)


def test_a_flag_of_which_nothing_was_kept_is_not_made_up(sender, means, database):
    sender.send(panel(calcium("11.9")), at=FIRST)
    behind_the_back(database, delete(flags))

    found, certainty = flags_then(means, FIRST)

    assert (found, certainty.exact) == ([], False)
    assert [flag for *_, flag in results_then(means, FIRST)] == [None]


def test_an_episode_of_which_nothing_was_told_is_said_and_shown_as_today(sender, means, database):
    sender.send(panel(calcium("11.9")), at=FIRST)
    behind_the_back(database, delete(outbox))

    found, certainty = flags_then(means, FIRST)

    assert (found, certainty.exact) == (flags_now(means), False)


OLD_WORDS = "it was said in these words then"


def test_what_was_said_in_other_words_then_is_answered_in_those(sender, means, database):
    sender.send(panel(calcium("11.9"), hemoglobin("13.1")), at=FIRST)
    behind_the_back(database, update(flags).values(why=OLD_WORDS), update(verdicts).values(why=OLD_WORDS))
    then = flags_now(means), results_now(means)

    sender.send(panel(alp("90"), on=1, patient={**WOMAN, "sex": "male"}), at=SECOND)

    found, certainty = flags_then(means, FIRST)
    assert (found, results_then(means, FIRST), certainty.exact) == (*then, True)
    assert {row[3] for row in results_then(means, FIRST)} == {OLD_WORDS}


def test_flags_that_were_replaced_only_because_the_words_are_others_now_are_told_so(sender, means, database):
    sender.send(panel(calcium("11.9")), at=FIRST)
    behind_the_back(database, update(flags).values(why=OLD_WORDS))
    then = flags_now(means)
    sender.send(panel(hemoglobin("9.1"), on=-1), at=SECOND)
    after = flags_now(means)

    found = [flags_then(means, moment) for moment in (FIRST, SECOND)]

    assert [one for one, _ in found] == [then, after]
    assert [certainty.exact for _, certainty in found] == [True, True]
    assert sorted(one[2] for one in after) == ["open", "open", "superseded"]


def test_without_the_rule_set_that_judged_then_nothing_is_said(sender, means):
    sender.send(panel(calcium("11.9")), at=FIRST)
    book = means.catalogue.rulebook
    other = replace(book, rulesets={"other-1": next(iter(book.rulesets.values()))}, current="other-1")
    without = replace(means, catalogue=replace(means.catalogue, rulebook=other))

    with pytest.raises(Unavailable, match="is not loaded"):
        flags_then(without, FIRST)


def test_a_moment_and_a_patient_have_to_be_named(means):
    with means.database.reading() as connection, pytest.raises(ValueError, match="which moment"):
        as_known.flag_page(connection, FlagFilter(), catalogue=means.catalogue, after=None, limit=1)
