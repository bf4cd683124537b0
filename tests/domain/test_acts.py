"""What people did about an episode, carried along while results come: in whatever way it is judged."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from service.domain.changes import ChangeKind, diff
from service.domain.judge import NOTHING, Judgement, carry_on, judge
from service.domain.timeline import Timeline
from tests.domain.build import BOOK, kept
from tests.domain.story import MAN, begin, hb, step
from tests.domain.strategies import timelines

ACKNOWLEDGE, UNDO, SNOOZE = "acknowledge", "undo", "snooze"


def acted(judgement, deed, name):
    """The judgement after something was done about every open episode."""
    given_ = {ACKNOWLEDGE: {"acknowledged_by": name}, UNDO: {"acknowledged_by": None}, SNOOZE: {"snoozed_by": name}}
    return replace(
        judgement,
        episodes=tuple(replace(one, **given_[deed]) if one.open else one for one in judgement.episodes),
    )


def collections(results):
    times = sorted({one.collected_at for one in results})
    return [tuple(one for one in results if one.collected_at == at) for at in times]


def attended(judgement):
    return {one.finding: (one.level, one.peak, one.attended) for one in judgement.episodes if one.open}


def told(difference):
    return [(one.kind, one.flag and one.flag.key) for one in difference.changes]


@given(results=timelines(), deeds=st.lists(st.none() | st.sampled_from([ACKNOWLEDGE, UNDO, SNOOZE]), max_size=8))
def test_carried_on_and_judged_from_the_beginning_the_same_acts_hold_and_the_same_is_told(results, deeds):
    short, long, seen = NOTHING, NOTHING, ()

    for number, brought in enumerate(collections(results)):
        seen += brought
        lasting = Judgement(episodes=tuple(replace(one, flags=()) for one in short.episodes if one.open))
        carried = diff(lasting, carry_on(lasting, Timeline(facts=MAN, results=brought), BOOK))
        whole = judge(Timeline(facts=MAN, results=seen), BOOK)
        again = diff(long, whole)
        short = kept(Judgement(episodes=carried.episodes), prefix=f"s{number}-")
        long = kept(replace(whole, episodes=again.episodes), prefix=f"l{number}-")

        assert (attended(short), told(carried)) == (attended(long), told(again))
        if number < len(deeds) and deeds[number] is not None:
            short, long = (acted(one, deeds[number], f"act-{number}") for one in (short, long))


@given(data=st.data(), results=timelines())
def test_what_is_acknowledged_is_open_and_no_worse_than_what_was_acknowledged(data, results):
    before, seen, stood = NOTHING, (), {}

    for number, one in enumerate(data.draw(st.permutations(results))):
        seen += (one,)
        whole = judge(Timeline(facts=MAN, results=seen), BOOK)
        before = kept(replace(whole, episodes=diff(before, whole).episodes), prefix=f"e{number}-")
        if data.draw(st.booleans()):
            before = acted(before, ACKNOWLEDGE, f"act-{number}")
            stood |= {(each.acknowledged_by, each.id): each for each in before.episodes if each.open}

        for each in before.episodes:
            assert each.open or each.attended == (None, None)
            assert not each.acknowledged or not each.worse_than(stood[each.acknowledged_by, each.id])


def test_the_end_of_an_acknowledgement_is_told_once_and_only_where_nothing_else_tells_it():
    a, b, c = hb(0, "9"), hb(1, "12"), hb(2, "7.5")
    before = acted(begin(a, b), ACKNOWLEDGE, "act-1")

    back, escalated, resolved = step(before, a), step(before, a, b, c), step(before, a, b, hb(2, "14"))

    assert back.told[-1] == "escalated anemia"
    assert [one.split()[0] for one in escalated.told] == ["escalated"]
    assert [one.split()[0] for one in resolved.told] == ["resolved"]
    assert [one.end.episodes[-1].acknowledged_by for one in (back, escalated, resolved)] == [None, None, None]


def test_an_undone_acknowledgement_leaves_nothing_to_tell_with_the_next_result():
    a = hb(0, "12")
    before = acted(acted(begin(a), ACKNOWLEDGE, "act-1"), UNDO, "act-2")

    after = step(before, a, hb(1, "12"))

    assert ChangeKind.UNACKNOWLEDGED not in {one.kind for one in after.difference.changes}
