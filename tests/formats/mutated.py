"""Panels in order, and the same with something odd in them: what the quick reader is held against the schema with.

Law: made from a seed, so that what was found once can be found again. ``python -m tests.formats.mutated 100000 1`` runs
so many, from that seed.
"""

import copy
import dataclasses
import random
import sys
from collections import Counter, UserDict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from service.domain.errors import BadInput
from service.domain.panels import Status
from service.domain.people import Sex
from service.formats import native, quick
from service.formats.panel_shape import PanelShape, PatientShape, RangeShape, ResultShape
from service.formats.strict_json import Number
from tests.flows.build import NOW

Place = tuple[dict[str, Any] | list[Any], Any]
NAMES = sorted({name for shape in (PanelShape, PatientShape, RangeShape, ResultShape) for name in shape().fields})


class Numeral(Number):
    """A number of another making than the parser's."""


class Words(StrEnum):
    FEMALE = "female"
    FINAL = "final"
    FIVE = "5"


class Rows(list[Any]):
    pass


TEXTS = ["", " ", "\t\n", "x", "5", "final", "female", "FINAL", "x" * 255, "x" * 256, "x" * 1000, "x" * 1001]
TEXTS += ["ä", "\N{DROP OF BLOOD}", "\u2028", "\u00a0", "\ufeff", "\u200b", "e\u0301", "١٢", "K", "ſ"]
NUMBERS = ["0", "-0", "3", "4", "130", "131", "-1", "11.9", "+1.5", ".5", "5.", "1e2", "1E-2", "1e31", "1e400", "011.9"]
NUMBERS += [
    " 11.9 ",
    "11.9\n",
    "1_0",
    "11,9",
    "<5",
    "NaN",
    "Infinity",
    "0x10",
    "9" * 30,
    "9" * 31,
    "1" + " " * 80,
    "١.٥",
]
DAYS = ["1968-03-14", "1850-01-01", "1849-12-31", "1968-02-30", "19680314", "1968-W11-4", "1968-3-14", "1968-03-14\n"]
TIMES = ["2026-11-01T08:00:00Z", "2026-11-01t08:00:00z", "2026-11-01T08:00Z", "2026-11-01T08Z", "2026-W44-7T08:00:00Z"]
TIMES += ["2026-11-01T08:00:00", "2026-11-01 08:00:00Z", "2026-11-01T08:00:00.123456789Z", "2026-11-01T08:00:00,5Z"]
TIMES += ["2026-11-01T08:00:00+24:00", "2026-11-01T08:00:00+23:59", "2026-11-01T08:00:00-00:00", "20261101T080000Z"]
TIMES += ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1849-12-31T23:59:59Z", "1850-01-01T00:30:00+01:00"]
TIMES += ["2026-11-01T08:00:60Z", "2026-11-01T24:00:00Z", "2026-11-01T08:00:00+01:00:30", "2026-11-01T08:00:00+0100"]
TIMES += [(NOW + timedelta(hours=hours)).isoformat() for hours in (0, 23, 24, 25, 9_000)]
OTHERS: list[Any] = [None, True, False, 0, 1, 2.5, Decimal("11.9"), b"11.9", NOW, Status.FINAL, Sex.FEMALE]
OTHERS += [
    *Words,
    Numeral("5"),
    Numeral("11.9"),
    Number("final"),
    Number("female"),
    Number("mg/dL"),
    Number(""),
    {},
    [],
]
OTHERS += [
    (),
    {"a": "b"},
    {1: 2},
    ["x"],
    [None],
    {"system": "s", "code": "c"},
    {"code": "c"},
    {"system": "s", "code": 5},
]
OTHERS += [{"system": None, "code": "c"}, {"system": "s", "code": "c", "x": "y"}, {"system": " ", "code": "17861-6"}]


def in_order(chance: random.Random) -> dict[str, Any]:
    """A panel as a laboratory sends it, with any of the fields that there are, in any order."""
    sent = {"patient": _patient(chance), "collected_at": _time(chance), "results": _results(chance)}
    sent |= _some(
        chance,
        accession=f"A-{chance.randrange(10**6)}",
        issued_at=chance.choice([None, _time(chance)]),
        status=chance.choice([None, *(str(one) for one in Status)]),
        note=chance.choice([None, "hemolyzed"]),
    )
    return _shuffled(sent, chance)


def _patient(chance: random.Random) -> dict[str, Any]:
    pregnant = chance.choice([None, True, False])
    some = _some(
        chance,
        authority=chance.choice([None, "hospital-a"]),
        sex=chance.choice([None, *(str(one) for one in Sex)]),
        birth_date=chance.choice([None, f"19{chance.randrange(10, 99)}-0{chance.randrange(1, 10)}-14"]),
        name=chance.choice([None, "Zoë"]),
        pregnant=pregnant,
        trimester=None if pregnant is False else Number(chance.randint(1, 3)),
        age_years=Number(chance.randint(0, 130)),
    )
    return _shuffled({"id": str(chance.randrange(10**8)), **some}, chance)


def _time(chance: random.Random) -> str:
    second = chance.choice(["", ":00", ":59.5", ":07.123456789"])
    offset = chance.choice(["Z", "+01:00", "-05:30", "+00:00"])
    at = NOW - timedelta(minutes=chance.randrange(500_000))
    return f"{at:%Y-%m-%dT%H:%M}{second}{offset}"


def _results(chance: random.Random) -> list[dict[str, Any]]:
    return [_result(chance) for _ in range(chance.choice([1, 2, 3, 4]))]


def _result(chance: random.Random) -> dict[str, Any]:
    named = chance.choice(
        [
            {"analyte": "calcium"},
            {"code": "17861-6"},
            {"analyte": None, "code": {"system": "lab", "code": "CA"}},
            {"analyte": "calcium", "code": "17861-6"},
        ]
    )
    some = _some(
        chance,
        id=f"R-{chance.randrange(10**6)}",
        comparator=chance.choice([None, "<", ">="]),
        reference_range=chance.choice([None, {}, _range(chance), _range(chance)]),
        status=chance.choice([None, *(str(one) for one in Status)]),
        note=chance.choice([None, "repeated"]),
    )
    return _shuffled(
        {**named, "value": _number(chance, 20), "unit": chance.choice(["mg/dL", "", "µmol/L"]), **some}, chance
    )


def _range(chance: random.Random) -> dict[str, Any]:
    return _some(chance, low=_number(chance, 8), high=_number(chance, 8, above=8), unit=chance.choice([None, "mg/dL"]))


def _number(chance: random.Random, below: int, *, above: int = 0) -> str:
    text = f"{above + chance.randrange(below)}.{chance.randrange(100)}"
    return chance.choice([text, Number(text), f" {text}"])


def _some(chance: random.Random, **fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if chance.random() < 0.5}


def _shuffled(sent: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    names = list(sent)
    chance.shuffle(names)
    return {name: sent[name] for name in names}


def mutated(sent: Any, chance: random.Random) -> Any:
    """The same with one to three changes anywhere in it."""
    holder = {"": copy.deepcopy(sent)}
    for _ in range(chance.choice([1, 1, 2, 3])):
        # What was dropped as a whole has no place left in it.
        where, step = chance.choice(list(_places(holder)) or [({"": None}, "")])
        chance.choice(CHANGES)(where, step, chance)
    return holder.get("")


def _places(holder: dict[str, Any] | list[Any]) -> Iterator[Place]:
    for step in list(holder) if isinstance(holder, dict) else range(len(holder)):
        yield holder, step
        if isinstance(holder[step], dict | list):
            yield from _places(holder[step])


def _drop(where: Any, step: Any, _: random.Random) -> None:
    del where[step]


def _duplicate(where: Any, step: Any, _: random.Random) -> None:
    if isinstance(where, list):
        where.extend([copy.deepcopy(where[step])] * 2)
    else:
        where[f"{step}"] = [where[step]] * 2


def _replace(where: Any, step: Any, chance: random.Random) -> None:
    where[step] = _any_value(chance)


def _extend(where: Any, step: Any, chance: random.Random) -> None:
    if isinstance(where, dict):
        where[chance.choice([*NAMES, "x", "", 1, None])] = _any_value(chance)
    else:
        where.append(_any_value(chance))


def _retype(where: Any, step: Any, _: random.Random) -> None:
    kinds: dict[type, Callable[[Any], Any]] = {str: Number, Number: str, list: Rows, dict: UserDict, bool: str}
    where[step] = kinds.get(type(where[step]), lambda value: [value])(where[step])


def _swap(where: Any, step: Any, chance: random.Random) -> None:
    other = chance.choice(list(where) if isinstance(where, dict) else range(len(where)))
    where[step], where[other] = where[other], where[step]


def _many(where: Any, step: Any, chance: random.Random) -> None:
    if isinstance(where, list):
        where[:] = [copy.deepcopy(where[step]) for _ in range(chance.choice([200, 201]))]


CHANGES = (_drop, _duplicate, _replace, _replace, _replace, _replace, _extend, _retype, _swap, _many)


def _any_value(chance: random.Random) -> Any:
    value = chance.choice(chance.choice([TEXTS, NUMBERS, DAYS, TIMES, OTHERS]))
    return Number(value) if type(value) is str and chance.random() < 0.2 else copy.deepcopy(value)


def exactly(value: Any) -> Any:
    """A value with all its types and every digit: ``Decimal("1.0")`` equals ``Decimal("1.00")``, but not here."""
    if dataclasses.is_dataclass(value):
        return type(value), [(one.name, exactly(getattr(value, one.name))) for one in dataclasses.fields(value)]
    return [exactly(one) for one in value] if type(value) is tuple else (type(value), repr(value))


def by_schema(sent: Any, now: datetime = NOW) -> Any:
    """The panel that the schema answers, or None where it refuses."""
    try:
        return native.read_with_schema(sent, now=now)
    except BadInput:
        return None


def compared(sent: Any, now: datetime = NOW) -> str:
    """``read``, ``refused``, or ``declined`` (left to the schema, which takes it). Fails where the two ways differ."""
    quickly, slowly = quick.read(sent, now=now), by_schema(sent, now)
    if quickly is not None:
        assert exactly(quickly) == exactly(slowly), sent
        return "read"
    return "refused" if slowly is None else "declined"


def run(times: int, seed: int) -> Counter[str]:
    """Compare the two ways on so many panels in order, each with one mutation of it; count how they ended."""
    chance, ends = random.Random(seed), Counter[str]()  # noqa: S311  nothing secret is made
    for _ in range(times):
        sent = in_order(chance)
        ends[f"in order: {compared(sent)}"] += 1
        ends[f"mutated: {compared(mutated(sent, chance))}"] += 1
    return ends


if __name__ == "__main__":
    for end, count in sorted(run(int(sys.argv[1]), int(sys.argv[2])).items()):
        sys.stdout.write(f"{end} {count}\n")
