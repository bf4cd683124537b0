"""Goal 13: what it costs to read a panel, by the quick reader against the schema, and the whole way from bytes.

Law: both sides read the same values that the strict parser has made, and come to equal panels. Nothing waits here, so
the seconds are those of the processor, which a busy machine does not lengthen much.
"""

import io
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from bench import synthetic
from bench.common import Row, Size, side_by_side
from service.formats import native, ndjson, quick
from service.formats.lines import Entry
from service.formats.strict_json import parse

NOW = synthetic.FIRST.replace(year=2100)
GOAL, FLOOR = 20, 5
# How often the quick side goes over its panels, so that in a round both sides take about as long.
FASTER = 15


def measure(size: Size) -> list[Row]:
    """The check alone, of values that come again and of values that never do, and NDJSON from its bytes."""
    bodies = synthetic.bodies(size.of(20, 200, 200))
    # More new values than the quick reader remembers; few panels otherwise, as what was just parsed is at hand.
    new = synthetic.bodies(size.of(20, 1_100, 1_100))
    rounds = size.of(1, 5, 25)
    sent = [parse(body) for body in bodies]
    again = _check(sent, rounds, measure="the check of a panel of 4 results, from the JSON value")
    fresh = _check(list(_with_new_values(new)), rounds, measure="the same, every value new")
    return [replace(again, number="13", goal=GOAL, floor=FLOOR), fresh, _lines(bodies, rounds)]


def _with_new_values(bodies: Iterable[bytes]) -> Iterator[Any]:
    """The panels with digits behind each value that no other value has."""
    number = itertools.count(10**6)
    for body in bodies:
        sent = parse(body)
        for result in sent["results"]:
            text = result["value"]
            result["value"] = type(text)(f"{text}{'' if '.' in text else '.'}{next(number)}")
        yield sent


def _check(sent: list[Any], rounds: int, *, measure: str) -> Row:
    found = side_by_side(_reading(_quickly, sent, times=FASTER), _reading(_with_schema, sent), rounds=rounds)
    return Row(
        number="",
        measure=measure,
        ours=found.ours.middle,
        baseline=found.baseline.middle,
        ratio=found.ratio.middle,
        low=found.ratio.low,
        high=found.ratio.high,
        unit="panels/CPU s",
        note="baseline: the marshmallow schema",
        limit="a call for each field, then the names of each object; where values are new, making decimals",
        work=(_same(sent), len(sent)),
    )


def _lines(bodies: list[bytes], rounds: int) -> Row:
    def with_schema(body: bytes) -> Any:
        return native.read_with_schema(parse(body), now=NOW)

    text = b"\n".join(bodies)
    quickly = _reading(
        lambda _: sum(one.panel is not None for one in _lines_of(text)), [text], times=FASTER, holds=len(bodies)
    )
    found = side_by_side(quickly, _reading(with_schema, bodies), rounds=rounds)
    return Row(
        number="",
        measure="NDJSON, from bytes to panels",
        ours=found.ours.middle,
        baseline=found.baseline.middle,
        ratio=found.ratio.middle,
        low=found.ratio.low,
        high=found.ratio.high,
        unit="panels/CPU s",
        note="baseline: the same parser, then the marshmallow schema",
        limit="half is the JSON parser (its hook for objects sees keys that stand twice), half the check",
        work=(sum(one.panel is not None for one in _lines_of(text)), len(bodies)),
    )


def _lines_of(text: bytes) -> Iterator[Entry]:
    return ndjson.read(io.BytesIO(text), now=NOW)


def _reading(read: Callable[[Any], Any], sent: Sequence[Any], *, times: int = 1, holds: int = 1) -> Callable[[], float]:
    """A side of the comparison: how many panels are read in a second; each value ``holds`` so many."""

    def once() -> float:
        started = time.process_time()
        for one in itertools.chain.from_iterable(itertools.repeat(sent, times)):
            read(one)
        return len(sent) * times * holds / (time.process_time() - started)

    return once


def _quickly(sent: Any) -> Any:
    return quick.read(sent, now=NOW)


def _with_schema(sent: Any) -> Any:
    return native.read_with_schema(sent, now=NOW)


def _same(sent: Iterable[Any]) -> int:
    """How many are read quickly, and equal."""
    return sum(_quickly(one) == _with_schema(one) for one in sent)
