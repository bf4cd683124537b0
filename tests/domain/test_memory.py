"""What is remembered is never seen: with it and without it every answer is the same, to the letter."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, asdict, replace
from datetime import timedelta
from decimal import Decimal
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain import memory
from service.domain.appraise import Read
from service.domain.changes import Change, ChangeKind, diff
from service.domain.drafts import drafted
from service.domain.episodes import Episode, Flag
from service.domain.explain import Case
from service.domain.judge import Judgement, judge
from service.domain.kinds import kind_of
from service.domain.memory import Memory
from service.domain.panels import Status
from service.domain.people import MAY_BE_PREGNANT, AgeBound, Ages, Population, Sex
from service.domain.quantities import Measured
from service.domain.rules import Class, Finding, Severity
from service.domain.rulesets import Rulebook
from service.domain.timeline import Collection, Facts, Held, Timeline
from service.domain.verdicts import Outcome, Reason, Verdict
from tests.domain.build import BOOK, NOON, held, judged, kept
from tests.domain.strategies import UNITS, VALUES, anything, births, facts, sensible

some = settings(max_examples=150, deadline=None)
REMEMBERING = replace(BOOK)  # one book for all examples of this module, so that each meets what the others left


RANGES = {
    "calcium": "8.5 to 10.2",
    "calcium_ionized": "4.6 to 5.3",
    "alkaline_phosphatase": "40 to 130",
    "hemoglobin": "12.2 to 16",
    "platelets": "150 to 400",
}


def fresh() -> Rulebook:
    """A rule book that remembers nothing."""
    return replace(BOOK)


def to_the_letter(one: Judgement) -> str:
    verdicts = {key: asdict(verdict) for key, verdict in one.verdicts.items()}
    return json.dumps(
        [verdicts, [asdict(flag) for flag in one.flags.values()], list(map(asdict, one.episodes))], default=str
    )


def judgement(who: Facts, results: tuple[Held, ...], book: Rulebook) -> str:
    return to_the_letter(judge(Timeline(facts=who, results=results), book))


def one_by_one(who: Facts, results: tuple[Held, ...]) -> list[str]:
    """Each result judged as if it were the first that ever came."""
    return [judgement(who, (one,), fresh()) for one in results]


@st.composite
def spelled_alike(draw: st.DrawFn) -> tuple[Held, ...]:
    """Results of one number, range and person, but for the letters in which the number was sent."""
    one = draw(anything() | sensible())
    texts = [one.result.text, f"{one.result.text}0", f"+{one.result.text}", f"{one.result.text}e0"]
    comparators = st.sampled_from(["", "", "<", ">="])
    return tuple(
        replace(one, key=f"k{place}", result=replace(one.result, text=text, comparator=draw(comparators)))
        for place, text in enumerate(draw(st.lists(st.sampled_from(texts), min_size=1, max_size=4)))
    )


several = st.lists(anything() | sensible(), max_size=4, unique_by=lambda one: one.key).map(tuple)
known = st.fixed_dictionaries(
    {
        "pregnant": st.none() | st.booleans(),
        "trimester": st.none() | st.integers(1, 3),
        "age_years": st.none() | st.integers(0, 1) | st.integers(9, 19) | st.integers(58, 61),
    }
)


@some
@given(several | spelled_alike(), facts)
def test_a_judgement_from_memory_is_the_one_without_to_the_letter(results: tuple[Held, ...], who: Facts) -> None:
    first = judgement(who, results, REMEMBERING)
    again = judgement(who, results, REMEMBERING)

    assert first == again == judgement(who, results, fresh())
    assert [judgement(who, (one,), REMEMBERING) for one in results] == one_by_one(who, results)


@some
@given(st.data(), spelled_alike(), st.lists(st.tuples(facts, known), min_size=2, max_size=4))
def test_no_two_persons_share_what_only_one_of_them_may_be_told(
    data: st.DataObject, results: tuple[Held, ...], people: list[tuple[Facts, dict[str, Any]]]
) -> None:
    book = data.draw(st.sampled_from([REMEMBERING, fresh()]))
    for who, at in people:
        theirs = tuple(replace(one, **at) for one in results)

        assert judgement(who, theirs, book) == judgement(who, theirs, fresh())


@some
@given(births, births, st.tuples(known, known), st.sampled_from(list(VALUES)), st.data())
def test_two_persons_of_one_kind_get_the_same_words(
    one: Any, other: Any, at: tuple[dict[str, Any], dict[str, Any]], analyte: str, data: st.DataObject
) -> None:
    book, result = fresh(), held(analyte, data.draw(st.sampled_from(VALUES[analyte])), UNITS[analyte][0])
    mine, theirs = replace(result, **at[0]), replace(result, **at[1])
    sex = data.draw(st.sampled_from(Sex))
    first, second = (Facts(sex=sex, born=born) for born in (one, other))
    same = kind_of(mine, first, on=NOON.date(), rulebook=book) is kind_of(theirs, second, on=NOON.date(), rulebook=book)

    if same:
        assert judgement(first, (mine,), fresh()) == judgement(second, (theirs,), fresh())


@pytest.mark.parametrize("sex", list(Sex))
def test_on_each_day_on_which_a_table_changes_the_words_are_those_of_that_day(sex: Sex) -> None:
    months = [NOON.date() - timedelta(days=round(count * 30.4375)) for count in BOOK.ages.months]
    days = [NOON.date() - timedelta(days=count) for count in BOOK.ages.days]
    born = [day + timedelta(days=shift) for day in (NOON.date(), *days, *months) for shift in range(-2, 3)]
    results = tuple(
        held(analyte, values[2], UNITS[analyte][0], range_=RANGES[analyte] if sent else "", key=f"{analyte}{sent}")
        for analyte, values in VALUES.items()
        for sent in (False, True)
    )
    book = fresh()

    for day in born:
        who = Facts(sex=sex, born=day)
        assert judgement(who, results, book) == judgement(who, results, fresh())


def test_whatever_a_verdict_may_rest_on_is_remembered_with_it() -> None:
    """One thing after the other is changed about the same result, in a book with a second rule set."""
    one = held("calcium", "12", "mg/dL", range_="8.5 to 10.2")
    ruleset = BOOK.rulesets[BOOK.current]
    rulesets = {ruleset.version: ruleset, "second-1": replace(ruleset, version="second-1", graded=ruleset.graded[1:])}
    ranges = ("", "8.5 to 10.4", "8.6 to 10.2", "up to 10.2", "from 8.5", "8.5 to 10.2 mmol/L", "8.5 to 10.2 g")
    results = [
        one,
        *(replace(one, **change) for change in ({"analyte": "calcium_corrected"}, {"ruleset": "second-1"})),
        *(replace(one, status=status) for status in Status),
        *(held("calcium", "12", "mg/dL", range_=range_) for range_ in ranges),
        *(
            held("calcium", *sent, range_="8.5 to 10.2")
            for sent in (("12.0", "mg/dL"), ("12", "mg/dl"), (">12", "mg/dL"))
        ),
        *(held("calcium", "12", "mg/dL", **at) for at in ({"pregnant": True}, {"trimester": 3}, {"age_years": 1})),
    ]
    book = replace(BOOK, rulesets=rulesets)

    from_memory = [judgement(Facts(), (result,), book) for result in (*results, *results)][len(results) :]

    assert from_memory == [judgement(Facts(), (result,), replace(book)) for result in results]
    assert len(set(from_memory)) > len(results) / 2


def test_ages_that_only_a_second_scale_tells_apart_are_told_apart() -> None:
    ruleset = BOOK.rulesets[BOOK.current]
    (rule,) = (one for one in ruleset.graded if one.classification)
    assert rule.classification is not None
    edge, whoever = AgeBound.parse("41 y"), frozenset(range(4))
    halves = [Population(label="young", end=edge, states=whoever), Population(label="old", start=edge, states=whoever)]
    scale = replace(rule.classification, classes=tuple(Class(population=half) for half in halves), not_defined=())
    changed = replace(ruleset, graded=(replace(rule, classification=scale),), precedence={})

    book = replace(BOOK, rulesets={ruleset.version: changed})

    assert 41 * 12 in book.ages.months
    assert 41 * 12 not in BOOK.ages.months


def test_what_one_unit_lets_through_another_may_not() -> None:
    book, albumin = fresh(), held("albumin", "45", "g/L")

    reasons = [
        judged(replace(albumin, result=replace(albumin.result, unit=unit)), book=book).verdicts[albumin.key].reason
        for unit in ("g/L", "g/dL", "g/L")
    ]

    assert reasons == [Reason.NO_RULE, Reason.IMPLAUSIBLE, Reason.NO_RULE]


def test_people_for_whom_the_laboratory_has_one_range_keep_their_own_class() -> None:
    book, one = fresh(), held("hemoglobin", "11.5", "g/dL", range_="12.2 to 16")

    classes = [
        judged(one, facts=Facts(sex=sex, born=NOON.date() - timedelta(days=days)), book=book)
        .verdicts[one.key]
        .classification
        for sex, days in ((Sex.FEMALE, 10_000), (Sex.MALE, 10_000), (Sex.MALE, 1_300), (Sex.UNKNOWN, 10_000))
    ]

    assert classes == ["WHO 2024 mild", "WHO 2024 mild", None, "WHO 2024 mild"]


def test_the_ages_of_a_book_are_those_at_which_something_may_change() -> None:
    (scale,) = (one.classification for one in BOOK.rulesets[BOOK.current].graded if one.classification)
    stated = [one for analyte in BOOK.analytes.all for one in (*analyte.intervals, *analyte.not_established)]
    bounds = [
        bound
        for population in (*(one.population for one in stated), *scale.populations)
        for bound in (population.start, population.end)
        if bound is not None
    ]

    assert set(BOOK.ages.days) == {bound.count for bound in bounds if bound.unit == "d"}
    assert set(BOOK.ages.months) == {bound.age.months for bound in bounds if bound.unit != "d"} | set(MAY_BE_PREGNANT)
    assert Ages.told_apart_by(()).months == MAY_BE_PREGNANT


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "VERDICTS", 3)
    monkeypatch.setattr(memory, "ROOM", 30)


@pytest.mark.usefixtures("forgetful")
def test_forgetting_changes_no_answer() -> None:
    book, men = fresh(), [Facts(sex=Sex.MALE, born=NOON.date() - timedelta(days=400 * years)) for years in range(40)]
    results = tuple(
        held(analyte, value, UNITS[analyte][0], key=f"{analyte}{place}")
        for analyte, values in VALUES.items()
        for place, value in enumerate(values)
    )

    for who in (*men, *men):
        assert judgement(who, results, book) == judgement(who, results, fresh())
        assert len(book.memory.verdicts) <= 3
        assert sum(1 + len(kind.grounds) for kind in book.memory.kinds.values()) <= 30


def test_a_verdict_that_is_asked_for_outlives_its_generation() -> None:
    remembered = Memory()
    verdict = Verdict(outcome=Outcome.CLEAR, ruleset="r", why="w")

    for place in range(2 * memory.VERDICTS):
        remembered.keep(place, (None, verdict))
        assert remembered.verdicts.get("asked") or remembered.older("asked") or place == 0
        if place == 0:
            remembered.keep("asked", (None, verdict))

    assert remembered.verdicts.get(0) is remembered.older(0) is None


def test_long_words_are_not_remembered() -> None:
    book = fresh()
    long = held("calcium", f"11.{'0' * memory.LONGEST}", "mg/dL")

    judged(long, book=book)
    judged(replace(long, result=replace(long.result, text="11", unit=f"mg/dL{' ' * memory.LONGEST}")), book=book)

    assert book.memory.verdicts == {}


def test_the_number_decides_even_if_the_text_is_the_same() -> None:
    book, one = fresh(), held("calcium", "9.5", "mg/dL")
    judged(one, book=book)

    other = judged(replace(one, result=replace(one.result, number=Decimal(13))), book=book)

    assert other.verdicts[one.key].outcome is Outcome.FLAGGED


# ------------------------------------------------------------------------------------------------------------- drafts
DRAFTED: list[tuple[type[Any], dict[str, Any]]] = [
    (
        Flag,
        {
            name: name
            for name in ("subject", "finding", "severity", "collected_at", "version", "ruleset", "why", "explanation")
        },
    ),
    (Verdict, {"outcome": Outcome.CLEAR, "ruleset": "r", "why": "w", "explanation": {}}),
    (Episode, {"finding": Finding.ANEMIA, "level": 1, "peak": 2, "opened_at": NOON, "last_at": NOON, "flags": ()}),
    (Judgement, {}),
    (Collection, {"at": NOON, "results": ()}),
    (Measured, {"number": Decimal(3)}),
    (Change, {"kind": ChangeKind.RAISED}),
    (Case, {"result": 1, "measured": 2, "by": 3}),
    (Read, {"analyte": 1, "unit": 2, "measured": 3}),
]


@pytest.mark.parametrize(("cls", "given"), DRAFTED, ids=lambda one: getattr(one, "__name__", ""))
def test_a_draft_becomes_what_the_constructor_would_have_made(cls: type[Any], given: dict[str, Any]) -> None:
    made = drafted(cls)(**given)

    assert type(made) is cls
    assert made == cls(**given)
    assert repr(made) == repr(cls(**given))
    with pytest.raises(FrozenInstanceError):
        setattr(made, next(iter(made.__slots__)), 1)
    with pytest.raises(TypeError):
        drafted(cls)(**given, stranger=1)


def test_a_class_that_checks_itself_is_not_drafted() -> None:
    with pytest.raises(TypeError, match="Rulebook checks itself"):
        drafted(Rulebook)


# ------------------------------------------------------------------------------------------------------ long histories
@contextmanager
def counted(name: str = "") -> Iterator[Callable[[], int]]:
    """How many functions were called, ours and those of the interpreter; or how many of ours with a name."""
    calls = 0

    def count(frame: FrameType, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_name == name if name else event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        yield lambda: calls
    finally:
        sys.setprofile(None)


def course(days: int, *, every: int) -> tuple[Held, ...]:
    """A hemoglobin a day, severely low; on one day of so many it is normal, and the episode ends."""
    return tuple(held("hemoglobin", "14" if day % every == 0 else "7.5", "g/dL", day=day) for day in range(days))


@pytest.mark.parametrize("every", [2, 10_000], ids=["many episodes", "one long episode"])
def test_twice_the_history_is_twice_the_work(every: int) -> None:
    def work(days: int) -> int:
        book, results = fresh(), course(days, every=every)
        judged(*results, book=book)
        with counted() as calls:
            after = judged(*results, book=book)
            diff(kept(after), after)
        return calls()

    assert work(800) < 2.2 * work(400)


def test_a_long_episode_holds_every_flag_in_order() -> None:
    with counted("joined_by") as calls:
        one = judged(*course(3_000, every=10_000))

    (episode,) = one.episodes
    assert calls() == 1  # each further call would copy every flag that there is
    assert episode.flags == tuple((f"hemoglobin@{day}", Finding.ANEMIA) for day in range(1, 3_000))
    assert (episode.peak, episode.last_at) == (Severity.SEVERE, NOON + timedelta(days=2_999))
