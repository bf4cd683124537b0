"""What there is to tell when results are corrected or taken back: one story after the other.

A man of 40 years: hemoglobin 14 is clear, 12 mild, 9 moderate, 7.5 severe, 6 critical. Days count from the first story.
"""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.changes import ChangeKind
from service.domain.panels import Status
from service.domain.rules import Severity
from tests.domain.build import NOON
from tests.domain.story import again, begin, hb, only, step


# -------------------------------------------------------------------------------------------------------- corrections
def test_a_correction_to_clear_supersedes_the_only_flag() -> None:
    first = hb(0, "9")

    now = step(begin(first), again(first, "14"))

    assert now.told == ["superseded hb0"]
    assert now.difference.changes[0].by is None
    assert now.ended == [("e1", "withdrawn")]
    assert now.episodes == []


def test_a_correction_to_worse_supersedes_and_escalates() -> None:
    first = hb(0, "12")

    now = step(begin(first), again(first, "6"))

    assert now.told == ["superseded hb0", "escalated hb0"]
    superseded = now.difference.changes[0]
    assert (superseded.flag and superseded.flag.severity, superseded.by and superseded.by.severity) == (
        "mild",
        "critical",
    )
    assert now.episodes == [("e1", "open", ["hb0"])]


def test_a_correction_to_milder_supersedes_only() -> None:
    first = hb(0, "6")

    now = step(begin(first), again(first, "12"))

    assert now.told == ["superseded hb0"]
    assert (only(now.difference).level, only(now.difference).peak) == (Severity.MILD, Severity.MILD)


def test_a_correction_of_an_older_flag_to_the_worst_yet_escalates_late() -> None:
    first = hb(0, "12")

    now = step(begin(first, hb(2, "9")), again(first, "6"), hb(2, "9"))

    assert now.told == ["superseded hb0", "escalated hb0"]
    assert now.difference.changes[1].late
    assert only(now.difference).level is Severity.MODERATE


def test_a_correction_of_clear_to_flagged_reopens() -> None:
    clear = hb(3, "14")

    now = step(begin(hb(0, "12"), clear), hb(0, "12"), again(clear, "9"))

    assert now.told == ["escalated hb3", "reopened anemia"]
    assert now.episodes == [("e1", "open", ["hb0", "hb3"])]


def test_preliminary_to_final_replaces_the_flag_without_raising_it_again() -> None:
    first = hb(0, "9", Status.PRELIMINARY)

    now = step(begin(first), again(first, "9", Status.FINAL))

    assert now.told == ["superseded hb0"]
    change = now.difference.changes[0]
    assert (change.flag and change.flag.provisional, change.by and change.by.provisional) == (True, False)
    assert now.episodes == [("e1", "open", ["hb0"])]


def test_a_clear_version_of_a_clear_result_tells_nothing() -> None:
    first = hb(0, "14", Status.PRELIMINARY)

    assert step(begin(first), again(first, "14.1", Status.FINAL)).told == []


# --------------------------------------------------------------------------------------------------------- taken back
def test_the_only_flag_entered_in_error_withdraws_the_episode() -> None:
    first = hb(0, "9")

    now = step(begin(first), again(first, "9", Status.ENTERED_IN_ERROR))

    assert now.told == ["withdrawn hb0"]
    assert now.ended == [("e1", "withdrawn")]
    assert now.difference.gone[0][1] is ChangeKind.WITHDRAWN


def test_a_cancelled_result_withdraws_its_flag() -> None:
    first = hb(0, "9")

    assert step(begin(first), again(first, "9", Status.CANCELLED)).told == ["withdrawn hb0"]


def test_the_opener_entered_in_error_leaves_the_episode_to_the_rest() -> None:
    first = hb(0, "9")

    now = step(begin(first, hb(2, "9")), again(first, "9", Status.ENTERED_IN_ERROR), hb(2, "9"))

    assert now.told == ["withdrawn hb0"]
    assert now.episodes == [("e1", "open", ["hb2"])]
    assert only(now.difference).opened_at == NOON + timedelta(days=2)


def test_a_clear_result_in_between_entered_in_error_merges() -> None:
    clear = hb(2, "14")
    before = begin(hb(0, "12"), clear, hb(4, "9"))

    now = step(before, hb(0, "12"), again(clear, "14", Status.ENTERED_IN_ERROR), hb(4, "9"))

    assert now.told == ["reopened hb0"]
    assert now.episodes == [("e2", "open", ["hb0", "hb4"])]
    assert now.ended == [("e1", "merged")]


def test_what_is_open_again_in_another_episode_is_told_by_its_gravest_flag() -> None:
    clear = hb(3, "14")
    before = begin(hb(0, "9"), hb(1, "6"), hb(2, "12"), clear, hb(4, "12"))

    now = step(before, hb(0, "9"), hb(1, "6"), hb(2, "12"), again(clear, "11"), hb(4, "12"))

    assert now.told == ["repeated hb3", "reopened hb1"]
    reopened = now.difference.changes[1]
    assert (reopened.flag and reopened.flag.severity, reopened.late) == (Severity.CRITICAL, True)


def test_what_was_open_and_is_over_as_part_of_an_earlier_episode_is_told() -> None:
    clear = hb(1, "14")
    before = begin(hb(0, "12"), clear, hb(2, "9"), hb(4, "9"))

    now = step(before, hb(0, "12"), again(clear, "14", Status.ENTERED_IN_ERROR), hb(2, "9"), hb(3, "14"), hb(4, "9"))

    assert now.told == ["resolved anemia"]
    assert now.episodes == [("e1", "resolved", ["hb0", "hb2"]), ("e2", "open", ["hb4"])]


def test_the_resolving_result_entered_in_error_reopens() -> None:
    clear = hb(2, "14")

    now = step(begin(hb(0, "12"), clear), hb(0, "12"), again(clear, "14", Status.ENTERED_IN_ERROR))

    assert now.told == ["reopened anemia"]
    assert now.episodes == [("e1", "open", ["hb0"])]
    assert only(now.difference).resolved_at is None


def test_an_error_that_is_final_again_raises_anew() -> None:
    first = hb(0, "9")
    wrong = again(first, "9", Status.ENTERED_IN_ERROR)
    withdrawn = step(begin(first), wrong).end

    now = step(withdrawn, again(wrong, "9", Status.CORRECTED))

    assert now.told == ["raised hb0"]


# ------------------------------------------------------------------------------------------------------------ any two
value = st.sampled_from(["14", "14", "12", "6"])


@settings(max_examples=200)
@given(st.lists(st.tuples(value, value), min_size=3, max_size=7))
def test_every_flag_that_is_over_or_open_again_is_told_with_its_episode(days: list[tuple[str, str]]) -> None:
    earlier = [hb(day, values[0]) for day, values in enumerate(days)]
    before = begin(*earlier)

    now = step(before, *[again(one, values[1]) for one, values in zip(earlier, days, strict=True)])

    was_open = {key: one.open for one in before.episodes for key in one.flags}
    for episode in now.end.episodes:
        turned = any(was_open.get(key, episode.open) is not episode.open for key in episode.flags)
        kind = ChangeKind.REOPENED if episode.open else ChangeKind.RESOLVED
        told = [one.kind for one in now.difference.changes if one.episode and one.episode.flags == episode.flags]
        assert told.count(kind) in ([1] if turned else [0, 1])
