"""What there is to tell when results come, in order and late, and when facts change: one story after the other.

A man of 40 years: hemoglobin 14 is clear, 12 mild, 9 moderate, 7.5 severe, 6 critical. Days count from the first story.
"""

from dataclasses import replace
from datetime import timedelta

from service.domain.changes import ChangeKind, Difference, diff
from service.domain.episodes import EpisodeState
from service.domain.judge import NOTHING, Judgement, carry_on, judge
from service.domain.panels import Status
from service.domain.people import Sex
from service.domain.rules import Finding, Severity
from service.domain.timeline import Facts, Held, Timeline
from tests.domain.build import BOOK, NOON, born_at, held
from tests.domain.story import MAN, Step, begin, hb, only, step


# ------------------------------------------------------------------------------------------- in the order of collection
def test_the_first_flag_opens_an_episode() -> None:
    now = step(NOTHING, hb(0, "12"))

    assert now.told == ["raised hb0"]
    assert now.episodes == [("n1", "open", ["hb0"])]
    assert now.difference.changes[0].episode == only(now.difference)


def test_a_clear_first_result_tells_nothing() -> None:
    now = step(NOTHING, hb(0, "14"))

    assert now.difference == Difference(changes=(), episodes=(), ended=(), born=(), gone=())


def test_the_same_level_again_is_a_repeat_in_the_same_episode() -> None:
    now = step(begin(hb(0, "12")), hb(0, "12"), hb(1, "11.5"))

    assert now.told == ["repeated hb1"]
    assert now.episodes == [("e1", "open", ["hb0", "hb1"])]


def test_a_worse_level_escalates() -> None:
    now = step(begin(hb(0, "12")), hb(0, "12"), hb(1, "9"))

    assert now.told == ["escalated hb1"]
    assert (only(now.difference).level, only(now.difference).peak) == (Severity.MODERATE, Severity.MODERATE)


def test_a_better_level_improves_and_the_peak_stays() -> None:
    now = step(begin(hb(0, "6")), hb(0, "6"), hb(1, "9"))

    assert now.told == ["improved hb1"]
    assert (only(now.difference).level, only(now.difference).peak) == (Severity.MODERATE, Severity.CRITICAL)


def test_worse_than_the_last_but_not_than_the_peak_escalates_too() -> None:
    before = begin(hb(0, "6"), hb(1, "12"))

    now = step(before, hb(0, "6"), hb(1, "12"), hb(2, "9"))

    assert now.told == ["escalated hb2"]


def test_a_clear_result_resolves() -> None:
    now = step(begin(hb(0, "12")), hb(0, "12"), hb(3, "14"))

    assert now.told == ["resolved anemia"]
    assert only(now.difference).resolved_at == NOON + timedelta(days=3)


def test_a_second_clear_result_tells_nothing() -> None:
    now = step(begin(hb(0, "12"), hb(3, "14")), hb(0, "12"), hb(3, "14"), hb(4, "14"))

    assert now.told == []


def test_what_could_not_be_judged_neither_resolves_nor_repeats() -> None:
    unreadable = held("hemoglobin", "14", "furlong", day=1)

    now = step(begin(hb(0, "12")), hb(0, "12"), unreadable)

    assert now.told == []
    assert now.episodes == [("e1", "open", ["hb0"])]


def test_a_flag_after_a_resolved_episode_opens_a_new_one() -> None:
    now = step(begin(hb(0, "12"), hb(3, "14")), hb(0, "12"), hb(3, "14"), hb(5, "12"))

    assert now.told == ["raised hb5"]
    assert now.episodes == [("e1", "resolved", ["hb0"]), ("n2", "open", ["hb5"])]


def test_several_new_collections_at_once_are_told_one_after_the_other() -> None:
    now = step(NOTHING, hb(0, "12"), hb(1, "9"), hb(2, "9"), hb(3, "12"), hb(4, "14"))

    assert now.told == ["raised hb0", "escalated hb1", "repeated hb2", "improved hb3", "resolved anemia"]


def test_two_results_of_one_collection_are_no_improvement_of_each_other() -> None:
    worse, better = hb(0, "9", key="a"), hb(0, "12", key="b")

    now = step(NOTHING, worse, better)

    assert now.told == ["raised a", "repeated b"]
    assert only(now.difference).level is Severity.MODERATE


def test_a_milder_result_added_to_the_last_collection_is_no_improvement() -> None:
    worse, better = hb(0, "9", key="a"), hb(0, "12", key="b")

    assert step(begin(worse), worse, better).told == ["repeated b"]


def test_a_worse_result_added_to_the_last_collection_escalates() -> None:
    worse, better = hb(0, "9", key="a"), hb(0, "12", key="b")

    assert step(begin(better), worse, better).told == ["escalated a"]


def test_a_clear_result_beside_a_flagged_one_resolves_nothing() -> None:
    flagged, clear = hb(1, "12", key="a"), hb(1, "14", key="b")

    now = step(begin(hb(0, "12")), hb(0, "12"), flagged, clear)

    assert now.told == ["repeated a"]
    assert now.episodes == [("e1", "open", ["hb0", "a"])]


def test_carrying_on_tells_the_same_without_the_old_flags() -> None:
    whole = begin(hb(0, "12"))
    kept_only = Judgement(episodes=tuple(replace(one, flags=()) for one in whole.episodes))

    after = carry_on(kept_only, Timeline(facts=MAN, results=(hb(1, "9"),)), BOOK)
    difference = diff(kept_only, after)

    assert [(one.kind, one.flag and one.flag.subject) for one in difference.changes] == [(ChangeKind.ESCALATED, "hb1")]
    assert [one.id for one in difference.episodes] == ["e1"]
    assert difference.ended == ()


# -------------------------------------------------------------------------------------------------------------- late
def test_a_late_flag_before_the_episode_joins_it() -> None:
    now = step(begin(hb(5, "12")), hb(5, "12"), hb(1, "12"))

    assert now.told == ["repeated hb1"]
    assert now.difference.changes[0].late
    assert now.episodes == [("e1", "open", ["hb1", "hb5"])]
    assert only(now.difference).opened_at == NOON + timedelta(days=1)


def test_a_late_worse_flag_escalates_and_leaves_the_level() -> None:
    now = step(begin(hb(5, "12")), hb(5, "12"), hb(1, "6"))

    assert now.told == ["escalated hb1"]
    assert (only(now.difference).level, only(now.difference).peak) == (Severity.MILD, Severity.CRITICAL)


def test_a_newer_flag_is_measured_against_the_last_one_not_against_a_late_one() -> None:
    now = step(begin(hb(5, "12")), hb(1, "6"), hb(5, "12"), hb(6, "12"))

    assert now.told == ["escalated hb1", "repeated hb6"]
    assert [one.late for one in now.difference.changes] == [True, False]


def test_a_late_flag_no_worse_than_the_peak_is_a_repeat() -> None:
    now = step(begin(hb(0, "6"), hb(5, "12")), hb(0, "6"), hb(5, "12"), hb(2, "9"))

    assert now.told == ["repeated hb2"]


def test_a_late_flag_in_an_earlier_clear_time_opens_an_episode_that_is_over() -> None:
    now = step(begin(hb(3, "14"), hb(5, "12")), hb(3, "14"), hb(5, "12"), hb(1, "12"))

    assert now.told == ["raised hb1", "resolved anemia"]
    assert now.episodes == [("n1", "resolved", ["hb1"]), ("e1", "open", ["hb5"])]


def test_a_late_flag_after_the_resolution_opens_a_new_episode() -> None:
    before = begin(hb(0, "12"), hb(3, "14"), hb(6, "14"))

    now = step(before, hb(0, "12"), hb(3, "14"), hb(4, "12"), hb(6, "14"))

    assert now.told == ["raised hb4", "resolved anemia"]
    assert now.episodes == [("e1", "resolved", ["hb0"]), ("n2", "resolved", ["hb4"])]


def test_a_late_clear_result_splits_and_the_newest_part_keeps_its_name() -> None:
    now = step(begin(hb(0, "12"), hb(4, "9")), hb(0, "12"), hb(4, "9"), hb(2, "14"))

    assert now.told == ["resolved anemia"]
    assert now.episodes == [("n1", "resolved", ["hb0"]), ("e1", "open", ["hb4"])]
    assert now.ended == []


def test_a_late_clear_result_before_the_episode_changes_nothing() -> None:
    assert step(begin(hb(4, "9")), hb(4, "9"), hb(2, "14")).told == []


def test_a_late_clear_result_after_the_last_flag_resolves_earlier() -> None:
    now = step(begin(hb(0, "12"), hb(5, "14")), hb(0, "12"), hb(5, "14"), hb(3, "14"))

    assert now.told == []
    assert only(now.difference).resolved_at == NOON + timedelta(days=3)


# -------------------------------------------------------------------------------------------------------------- facts
def test_a_changed_birth_date_judges_again() -> None:
    child = Facts(sex=Sex.MALE, born=born_at(8, "y"))
    before = begin(hb(0, "12"), facts=MAN)

    now = step(before, hb(0, "12"), facts=child)

    assert now.told == ["superseded hb0"]
    assert now.ended == [("e1", "withdrawn")]


def test_a_sex_that_becomes_known_can_raise() -> None:
    unknown = replace(MAN, sex=Sex.UNKNOWN)
    before = begin(hb(0, "12.5"), facts=unknown)

    assert step(before, hb(0, "12.5"), facts=MAN).told == ["raised hb0"]


# ------------------------------------------------------------------------------------------------------------ pattern
def ca(day: int, value: str) -> Held:
    return held("calcium", value, "mg/dL", day=day, key=f"ca{day}")


def told_of(now: Step, finding: Finding) -> list[ChangeKind]:
    return [
        one.kind for one in now.difference.changes
        if (one.flag.finding if one.flag else one.episode and one.episode.finding) is finding
    ]  # fmt: skip


def test_the_pattern_is_raised_beside_its_findings() -> None:
    now = step(NOTHING, hb(0, "9"), ca(0, "11"))

    assert [one.kind for one in now.difference.changes] == [ChangeKind.RAISED] * 3
    assert told_of(now, Finding.PATTERN) == [ChangeKind.RAISED]


def test_the_pattern_lasts_while_two_of_its_findings_do() -> None:
    both = (hb(0, "9"), ca(0, "11"))
    before = begin(*both)

    assert told_of(step(before, *both, hb(1, "9")), Finding.PATTERN) == []
    assert told_of(step(before, *both, hb(1, "14")), Finding.PATTERN) == [ChangeKind.RESOLVED]


def test_the_pattern_goes_with_a_result_entered_in_error() -> None:
    calcium = ca(0, "11")
    before = begin(hb(0, "9"), calcium)

    now = step(before, hb(0, "9"), replace(calcium, status=Status.ENTERED_IN_ERROR, version=2))

    assert told_of(now, Finding.PATTERN) == [ChangeKind.WITHDRAWN]
    assert sorted(one.finding for one in now.difference.ended) == [Finding.HYPERCALCEMIA, Finding.PATTERN]


def test_the_pattern_that_still_stands_on_others_is_superseded() -> None:
    calcium, low = ca(0, "11"), held("platelets", "100", "10*9/L", key="plt0")
    before = begin(hb(0, "9"), calcium, low)

    now = step(before, hb(0, "9"), low, replace(calcium, status=Status.ENTERED_IN_ERROR, version=2))

    (change,) = [one for one in now.difference.changes if one.flag and one.flag.finding is Finding.PATTERN]
    assert change.kind is ChangeKind.SUPERSEDED
    assert change.by is not None
    assert change.by.explanation["findings"] == ["anemia", "thrombocytopenia"]


# ------------------------------------------------------------------------------------------------------------ backtest
def test_two_judgements_that_were_never_kept_are_compared_as_well() -> None:
    first, second = hb(0, "9"), ca(4, "11")
    before = judge(Timeline(facts=MAN, results=(first, second)), BOOK)
    after = judge(Timeline(facts=MAN, results=(first, replace(second, status=Status.CANCELLED))), BOOK)

    difference = diff(before, after)

    assert [(one.finding, one.state) for one in difference.ended] == [(Finding.HYPERCALCEMIA, EpisodeState.WITHDRAWN)]
    assert [one.finding for one in difference.episodes] == [Finding.ANEMIA]
