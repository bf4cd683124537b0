"""What must hold for whatever comes in, in whatever order."""

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from service.domain.changes import ChangeKind, Difference, diff
from service.domain.episodes import EpisodeState, Flag
from service.domain.judge import NOTHING, Judgement, carry_on, judge
from service.domain.panels import Status
from service.domain.people import Sex
from service.domain.quantities import EXACT, parse_decimal, plain
from service.domain.rules import Direction
from service.domain.timeline import Facts, Held, Timeline, Version, current
from service.domain.verdicts import Outcome, Reason, Verdict
from tests.domain.build import BOOK, NOON, held, kept, verdict_on
from tests.domain.strategies import (
    COMPARATORS,
    FINALS,
    VALUES,
    anything,
    facts,
    known_facts,
    numbers,
    plausible_value,
    sensible,
    timelines,
    units,
)  # fmt: skip

some = settings(max_examples=120, deadline=None)
BIRTHS = {ChangeKind.RAISED, ChangeKind.ESCALATED, ChangeKind.IMPROVED, ChangeKind.REPEATED}
GONE = {ChangeKind.SUPERSEDED, ChangeKind.WITHDRAWN}
STATES: list[dict[str, Any]] = [{}, {"pregnant": True}, {"pregnant": True, "trimester": 2}]
MAN = Facts(sex=Sex.MALE, born=NOON.date() - timedelta(days=16_000))


def judgement(who: Facts, results: tuple[Held, ...]) -> Judgement:
    return judge(Timeline(facts=who, results=results), BOOK)


# ------------------------------------------------------------------------------------------------- order of arrival
@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Held, Version]]:
    """Versions of a few results. Those of one result differ in when they were issued, or else in their status."""
    found: list[tuple[Held, Version]] = []
    for one in draw(timelines(days=3)):
        timed = draw(st.booleans())
        hours = draw(st.lists(st.integers(0, 50), min_size=1, max_size=3, unique=True))
        for number, hour in enumerate(hours, start=1):
            value = draw(st.sampled_from(VALUES[one.analyte or ""]))
            status = (
                draw(st.sampled_from(FINALS))
                if timed
                else (Status.PRELIMINARY, Status.FINAL, Status.CORRECTED)[number - 1]
            )
            version = Version(number=0, status=status, issued_at=NOON + timedelta(hours=hour) if timed else None)
            content = replace(held(one.analyte, value, one.result.unit).result)
            found.append((replace(one, version=number, status=status, result=content), version))
    return found


def received(arrivals: list[tuple[Held, Version]]) -> tuple[Held, ...]:
    """The current results after these arrivals, each numbered as it came; one that was held already is not new."""
    versions: dict[str, dict[Version, Held]] = {}
    for one, version in arrivals:
        known = versions.setdefault(one.key, {})
        if one not in known.values():
            known[replace(version, number=len(known) + 1)] = one
    return tuple(known[current(known)] for known in versions.values())


@some
@given(st.data(), histories(), facts)
def test_any_order_of_arrival_duplication_and_correction_ends_the_same(
    data: st.DataObject, history: list[tuple[Held, Version]], who: Facts
) -> None:
    repeated = history + data.draw(st.lists(st.sampled_from(history), max_size=4) if history else st.just([]))
    shuffled = data.draw(st.permutations(repeated))

    assert judgement(who, received(shuffled)) == judgement(who, received(history))


@some
@given(st.data(), histories(), facts)
def test_what_is_told_on_the_way_adds_up_to_the_end(
    data: st.DataObject, history: list[tuple[Held, Version]], who: Facts
) -> None:
    order = data.draw(st.permutations(history))
    state, names = NOTHING, Counter[str]()
    for count in range(1, len(order) + 1):
        after = judgement(who, received(order[:count]))
        difference = diff(state, after)
        assert applied(state, difference) == dict(after.flags)
        state = kept(replace(after, episodes=difference.episodes), prefix=f"{count}.")
        names.update(one.id or "" for one in difference.ended)

    assert names.total() == len(names)  # an episode ends once
    assert state == judgement(who, received(history))


def applied(before: Judgement, difference: Difference) -> dict[Any, Flag]:
    gone = {flag.key for flag, _ in difference.gone}
    left = {key: flag for key, flag in before.flags.items() if key not in gone}
    return left | {flag.key: flag for flag in difference.born}


@some
@given(timelines(), facts, st.integers(-1, 7))
def test_carrying_on_is_judging_from_the_beginning(results: tuple[Held, ...], who: Facts, day: int) -> None:
    split = NOON + timedelta(days=day)
    early = tuple(one for one in results if one.collected_at <= split)
    late = tuple(one for one in results if one.collected_at > split)

    carried = carry_on(judgement(who, early), Timeline(facts=who, results=late), BOOK)

    assert carried == judgement(who, results)


# -------------------------------------------------------------------------------------------------------- difference
@st.composite
def two_timelines(draw: st.DrawFn) -> tuple[tuple[Held, ...], tuple[Held, ...]]:
    """A timeline, and the same after some results were changed, dropped or added."""
    before = draw(timelines())
    after = {one.key: one for one in before if draw(st.integers(0, 5))}
    for one in draw(st.lists(sensible(), max_size=5)):
        after[one.key] = replace(one, version=2)
    return before, tuple(after.values())


@some
@given(two_timelines(), facts, facts)
def test_every_flag_that_comes_or_goes_is_told_once(
    results: tuple[tuple[Held, ...], tuple[Held, ...]], one: Facts, other: Facts
) -> None:
    before, after = kept(judgement(one, results[0])), judgement(other, results[1])

    difference = diff(before, after)

    assert {flag.key: flag for flag in difference.born} == {
        key: flag for key, flag in after.flags.items() if before.flags.get(key) != flag
    }
    for flag in difference.born:
        told = [change.kind for change in difference.changes if change.flag == flag and change.kind in BIRTHS]
        replacing = [change for change in difference.changes if change.by == flag and change.kind in GONE]
        if flag.key in before.flags:
            worse = flag.severity.rank > before.flags[flag.key].severity.rank
            assert len(replacing) == 1
            assert told in ([], [ChangeKind.ESCALATED]) if worse else told == []
        else:
            assert (len(told), replacing) == (1, [])
    told_gone = [change.flag for change in difference.changes if change.kind in GONE]
    assert sorted(map(str, told_gone)) == sorted(
        str(flag) for key, flag in before.flags.items() if after.flags.get(key) != flag
    )


@some
@given(two_timelines(), facts)
def test_every_episode_is_carried_on_or_ended(results: tuple[tuple[Held, ...], tuple[Held, ...]], who: Facts) -> None:
    before, after = kept(judgement(who, results[0])), judgement(who, results[1])

    difference = diff(before, after)

    carried = [one.id for one in difference.episodes if one.id is not None]
    ended = [one.id for one in difference.ended]
    assert sorted([*carried, *ended]) == sorted(str(one.id) for one in before.episodes)
    assert difference.episodes == after.episodes
    assert all(one.state in {EpisodeState.WITHDRAWN, EpisodeState.MERGED} for one in difference.ended)


@some
@given(timelines(), facts)
def test_nothing_new_tells_nothing(results: tuple[Held, ...], who: Facts) -> None:
    before = kept(judgement(who, results))

    difference = diff(before, judgement(who, results))

    assert (difference.changes, difference.born, difference.gone, difference.ended) == ((), (), (), ())
    assert [one.id for one in difference.episodes] == [one.id for one in before.episodes]


# ---------------------------------------------------------------------------------------------------------- episodes
@some
@given(timelines(), facts)
def test_of_each_finding_one_episode_is_open_and_none_overlap(results: tuple[Held, ...], who: Facts) -> None:
    judged = judgement(who, results)

    members = Counter(key for episode in judged.episodes for key in episode.flags)
    assert members == Counter(dict.fromkeys(judged.flags, 1))
    for finding in {episode.finding for episode in judged.episodes}:
        of_it = [episode for episode in judged.episodes if episode.finding is finding]
        assert sum(episode.open for episode in of_it) <= 1
        assert all(one.resolved_at is not None and one.resolved_at <= other.opened_at for one, other in pairwise(of_it))
    for episode in judged.episodes:
        flags = [judged.flags[key] for key in episode.flags]
        assert episode.peak == max((flag.severity for flag in flags), key=lambda severity: severity.rank)
        assert (episode.opened_at, episode.last_at) == (flags[0].collected_at, flags[-1].collected_at)


# ------------------------------------------------------------------------------------------------------------ verdicts
@settings(max_examples=400, deadline=None)
@given(st.lists(anything(), max_size=4, unique_by=lambda one: one.key).map(tuple), facts)
def test_every_result_ends_in_one_verdict_whatever_was_sent(results: tuple[Held, ...], who: Facts) -> None:
    judged = judgement(who, results)

    assert set(judged.verdicts) == {one.key for one in results}
    for verdict in judged.verdicts.values():
        assert verdict.why
        assert (
            (verdict.outcome is Outcome.FLAGGED) == (verdict.severity is not None) == (verdict.explanation is not None)
        )
        assert (verdict.outcome is Outcome.NOT_JUDGED) == (verdict.reason is not None)
        json.dumps([verdict.explanation, verdict.context])


def alarm(verdict: Verdict) -> int:
    """How alarming a verdict is: clear or out of scope, then between limits, then flagged by severity."""
    if verdict.severity is not None:
        return 2 + verdict.severity.rank
    return 1 if verdict.reason is Reason.BETWEEN_LIMITS else 0


@settings(max_examples=300, deadline=None)
@given(plausible_value(), st.decimals(min_value=0, max_value=1, places=4), facts)
def test_further_out_is_never_milder(value: tuple[str, str, Decimal], share: Decimal, who: Facts) -> None:
    analyte, unit, further = value
    rule = BOOK.rulesets[BOOK.current].rule_for(analyte)
    assert rule is not None
    one, other = (verdict_on(held(analyte, str(number), unit), who) for number in (further * share, further))
    assume(Reason.IMPLAUSIBLE not in (one.reason, other.reason))

    milder, worse = (one, other) if rule.direction is Direction.HIGH else (other, one)

    assert alarm(milder) <= alarm(worse)


@settings(max_examples=300, deadline=None)
@given(
    value=plausible_value(),
    comparator=st.sampled_from(COMPARATORS),
    share=st.decimals(min_value=0, max_value=1, places=3),
    who=known_facts,
)
def test_what_is_said_of_a_comparator_holds_for_every_value_that_it_allows(
    *, value: tuple[str, str, Decimal], comparator: str, share: Decimal, who: Facts
) -> None:
    analyte, unit, number = value
    within = number * share if comparator in {"<", "<="} else number * (1 + 2 * share)
    allowed = {"<": within < number, "<=": within <= number, ">=": within >= number, ">": within > number}
    assume(allowed[comparator])
    open_ended = verdict_on(held(analyte, f"{comparator}{number}", unit), who)
    exact = verdict_on(held(analyte, str(within), unit), who)
    assume(exact.reason is not Reason.IMPLAUSIBLE)

    if open_ended.severity is not None:
        assert exact.severity is not None
        assert open_ended.severity.rank <= exact.severity.rank
        assert open_ended.at_least or open_ended.severity is exact.severity
    if open_ended.outcome is Outcome.CLEAR:
        assert exact.outcome is Outcome.CLEAR
    if open_ended.reason is Reason.OUTSIDE_SCOPE:
        assert exact.severity is None


@settings(max_examples=300, deadline=None)
@given(value=plausible_value(), who=facts, person=known_facts, at=st.sampled_from(STATES))
def test_what_is_said_of_somebody_unknown_holds_for_everybody_they_may_be(
    *, value: tuple[str, str, Decimal], who: Facts, person: Facts, at: dict[str, Any]
) -> None:
    analyte, unit, number = value
    one = held(analyte, str(number), unit, **at)
    may_be = Facts(sex=who.sex if who.sex in {Sex.FEMALE, Sex.MALE} else person.sex, born=who.born or person.born)

    unknown, concrete = verdict_on(one, who), verdict_on(one, may_be)

    nobody = {Reason.NO_INTERVAL, Reason.FACTS_CONTRADICT}
    # Nothing can be said against somebody for whom nothing is published, or who cannot be (pregnant at the age of 3).
    if unknown.outcome is Outcome.FLAGGED and concrete.reason not in nobody:
        assert concrete.severity is not None
        assert unknown.severity is not None
        assert unknown.severity.rank <= concrete.severity.rank
        assert unknown.at_least or unknown.severity is concrete.severity
        assert unknown.classification in (None, concrete.classification)
    if unknown.outcome is Outcome.CLEAR:
        assert concrete.outcome is Outcome.CLEAR or concrete.reason in nobody


# -------------------------------------------------------------------------------------------------- numbers and units
@some
@given(st.sampled_from(BOOK.analytes.all), numbers, st.data())
def test_a_value_survives_the_way_to_the_canonical_unit_and_back(
    analyte: Any, number: Decimal, data: st.DataObject
) -> None:
    unit = data.draw(st.sampled_from(analyte.units.units))

    assert unit.express(EXACT.multiply(number, unit.factor)) == plain(number)


@some
@given(units)
def test_a_unit_is_found_whatever_its_white_space(spelling: str) -> None:
    for analyte in BOOK.analytes.all:
        assert analyte.units.find(f"  {spelling}\t") is analyte.units.find(spelling)


@some
@given(st.from_regex(r"[+-]?[0-9]{1,15}(\.[0-9]{0,15})?", fullmatch=True))
def test_every_digit_of_a_number_is_kept(text: str) -> None:
    number = parse_decimal(text)

    digits = text.lstrip("+-").replace(".", "").lstrip("0") or "0"
    assert "".join(map(str, number.as_tuple().digits)).lstrip("0") == digits.lstrip("0")
    assert -int(number.as_tuple().exponent) == len(text.partition(".")[2])


@some
@given(st.text(max_size=80) | st.from_regex(r"-?\d+e\d+", fullmatch=True))
def test_a_text_is_a_number_within_bounds_or_a_value_error(text: str) -> None:
    try:
        number = parse_decimal(text)
    except ValueError:
        return
    assert number.is_finite()
    assert abs(number) < Decimal("1e31")


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "1,5", "0x1", "1_000", "NaN", "inf", "-", ".", "1e", "１", "1e400", "1" * 31, "1e31"]
)
def test_what_is_no_plain_decimal_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        parse_decimal(text)
