"""Goal 6: ``judge`` with explanations, panels per second of one core's time, without a database or a door.

Law: no panel is judged twice by a rule book that remembers it. What a rule book may remember is of other people.

Four kinds of panels of four results: values as laboratories repeat them, for a worker that has run for a while and for
one that begins; values that nobody has sent before; values and ranges that nobody has sent before. People are 0 to 95
years old; of twenty laboratories sixteen send ranges of their own.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count

import orjson

from bench.common import Row, Size, Spread, take_turns
from bench.synthetic import SEED, panels
from service.catalogue.load import load
from service.domain.judge import judge
from service.domain.panels import Panel, Result
from service.domain.rulesets import Rulebook
from service.domain.timeline import Facts, Held, Timeline
from service.flows.arrivals import analyte_of
from service.formats import native

RULESET = "blood-findings-1"
GOAL, FLOOR = 100_000, 30_000
NOW = datetime(2027, 1, 1, tzinfo=UTC)
OLDEST = 95 * 365
CHUNK = 50

Side = Callable[[], float]

_NEW = count(1)


def measure(size: Size) -> list[Row]:
    """One row for each kind of panels, and one for a patient of many."""
    book = load(RULESET).rulebook
    number = size.of(20, 3_000, 10_000)
    people = list(timelines(4 * number, book))
    known, others = people[:number], people[number:]
    kinds: dict[str, Side] = {
        "values as laboratories repeat them": partial(_judged, known, _same, book=book, after=others),
        "the same, from an empty memory": partial(_judged, known, _same, book=book),
        "every value new": partial(_judged, known, _new_values, book=book),
        "every value and every range new": partial(_judged, known, _new_ranges, book=book),
    }
    figures = take_turns(size.of(1, 5, 9), *kinds.values())
    work = _work(known, book)
    rows = [_row(name, figure, work) for name, figure in zip(kinds, figures, strict=True)]
    return [*rows, _long(size, known, book)]


def timelines(number: int, book: Rulebook) -> Iterator[Timeline]:
    """Patients with one panel each, read as the door reads them."""
    chance = random.Random(SEED)
    for sent in panels(number):
        born = date(2024, 1, 1) - timedelta(days=chance.randrange(OLDEST))
        sent["patient"]["birth_date"] = born.isoformat()
        panel = native.read(orjson.dumps(sent), now=NOW)
        held = tuple(_held(panel, one, book) for one in panel.results)
        yield Timeline(facts=Facts(sex=panel.patient.sex, born=panel.patient.born), results=held)


def _held(panel: Panel, result: Result, book: Rulebook) -> Held:
    return Held(
        key=f"res_{panel.accession}{result.pointer}",
        version=1,
        result=result,
        analyte=analyte_of(result, book.analytes),
        status=result.status,
        collected_at=panel.collected_at,
        ruleset=book.current,
    )


def _same(one: Timeline) -> Timeline:
    return one


def _new_values(one: Timeline) -> Timeline:
    return _other(one, _new_value)


def _new_ranges(one: Timeline) -> Timeline:
    return _other(one, _new_range)


def _other(one: Timeline, change: Callable[[Result], Result]) -> Timeline:
    return replace(one, results=tuple(replace(held, result=change(held.result)) for held in one.results))


def _new_value(result: Result) -> Result:
    """The same but for digits far behind the point that no other result has."""
    text = f"{result.number}{'' if '.' in result.text else '.'}{next(_NEW):09d}"
    return replace(result, text=text, number=Decimal(text))


def _new_range(result: Result) -> Result:
    new, sent = _new_value(result), result.range
    if sent is None or sent.high is None:
        return new
    return replace(new, range=replace(sent, high=sent.high + Decimal(next(_NEW)).scaleb(-12)))


def _judged(
    known: Sequence[Timeline], kind: Callable[[Timeline], Timeline], *, book: Rulebook, after: Sequence[Timeline] = ()
) -> float:
    """Panels per second by a rule book that has judged only those in ``after``."""
    own, taken = replace(book), 0.0
    for one in after:
        judge(one, own)
    for start in range(0, len(known), CHUNK):
        made = [kind(_read_anew(one)) for one in known[start : start + CHUNK]]
        begun = time.process_time()
        for one in made:
            judge(one, own)
        taken += time.process_time() - begun
    return len(known) / taken


def _read_anew(one: Timeline) -> Timeline:
    """The same in objects of its own, as if it had just come through the door."""
    return _other(one, lambda result: replace(result, range=result.range and replace(result.range)))


def _work(known: Sequence[Timeline], book: Rulebook) -> tuple[int, ...]:
    """Panels, results and flags."""
    judged = [judge(one, book) for one in known]
    return len(judged), sum(len(one.verdicts) for one in judged), sum(len(one.flags) for one in judged)


def _row(name: str, figures: Sequence[float], work: tuple[int, ...]) -> Row:
    spread = Spread.of(figures)
    return Row(
        number="6",
        measure=f"judge, {name}",
        ours=spread.middle,
        unit="panels/s",
        ratio=spread.middle,
        low=spread.low,
        high=spread.high,
        goal=GOAL,
        floor=FLOOR,
        note=f"{work[2] / work[0]:.2f} flags a panel",
        work=work,
    )


def _long(size: Size, known: Sequence[Timeline], book: Rulebook) -> Row:
    """A patient of so many panels, against patients of one panel each: is a long history judged in linear time?"""
    start, facts = known[0].results[0].collected_at, known[0].facts
    days = size.of(20, 2_000, 2_500)
    results = tuple(
        replace(held, collected_at=start + timedelta(days=day))
        for day, one in enumerate(known[:days])
        for held in one.results
    )
    one = Timeline(facts=facts, results=results)
    spread = Spread.of([_judged([one], _same, book=book) * days for _ in range(size.of(1, 5, 9))])
    return Row(
        number="6",
        measure=f"judge, one patient with {len(results):,} results",
        ours=spread.middle,
        unit="panels/s",
        low=spread.low,
        high=spread.high,
        work=(days, len(results)),
    )
