"""Bundles in order, and the same with anything at all at any place in them.

Law: made from a seed, so that what was found once can be found again. ``python -m tests.formats.fhir.mutated 100000 1``
runs so many, from that seed.
"""

import copy
import random
import sys
from collections import Counter
from typing import Any

from service.domain.errors import BadInput
from tests.formats.fhir.build import bundle, concept, entry, observation, patient, quantity, read, report

ODD: list[Any] = [None, True, 0, -1, 1.5, 1e300, "", " ", "x", "#", "#a", "urn:uuid:1", "Patient/p-1", "final", [], {}]
ODD += [
    [None],
    [[]],
    [{}],
    ["x"],
    {"x": 1},
    "2026",
    "2026-13",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01",
    "<5",
    "x" * 3_000,
]
ODD += [
    {"coding": [None]},
    {"coding": "x"},
    {"reference": 1},
    {"reference": "Group/g"},
    {"value": "11.9"},
    "\u2028",
    "ad",
]
ODD += [[{"url": "x"}], {"low": {"value": 5}}, {"start": 5}, "Observation?identifier=a|b", "Patient?identifier=", -0.0]
KINDS = ("transaction", "batch", "collection", "document", "searchset", "history", "message", "subscription")


def in_order() -> dict[str, Any]:
    """A Bundle with nearly everything that is read."""
    whole = observation(
        id="whole",
        identifier=[{"system": "urn:lab", "value": "1", "type": concept("FILL")}],
        meta={"versionId": "2", "lastUpdated": "2026-11-01T10:00:00Z"},
        category=[concept("laboratory", "http://terminology.hl7.org/CodeSystem/observation-category")],
        interpretation=[concept("H", "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation")],
        referenceRange=[
            {
                "low": quantity(8.6),
                "high": quantity(10.3),
                "appliesTo": [concept("female")],
                "age": {"low": quantity(18, "a")},
            },
            {"text": "8.6-10.3", "type": concept("critical")},
        ],
        note=[{"text": "hemolyzed"}],
        specimen={"reference": "#s"},
        contained=[{"resourceType": "Specimen", "id": "s", "collection": {"collectedDateTime": "2026-11-01"}}],
        extension=[
            {
                "url": "http://hl7.org/fhir/StructureDefinition/observation-replaces",
                "valueReference": {"reference": "Observation/old"},
            }
        ],
    )
    parts = observation(
        id="parts",
        valueQuantity=None,
        effectiveDateTime=None,
        effectivePeriod={"start": "2026-11-01", "end": "2026-11-02"},
        component=[
            {"code": concept("718-7"), "valueString": "<5"},
            {"code": concept("1-8"), "dataAbsentReason": concept("x")},
        ],
        hasMember=[{"reference": "Observation/whole"}],
    )
    ranged = observation(
        id="ranged",
        valueQuantity=None,
        valueRange={"low": quantity(3), "high": quantity(4)},
        effectiveDateTime=None,
        effectiveTiming={"event": ["2026-11-01"], "repeat": {"boundsPeriod": {"start": "2026"}}},
    )
    around = report("Observation/whole", "#c", contained=[observation(id="c", subject=None)])
    inner = bundle("collection", observation(id="inner"))
    header = {"resourceType": "MessageHeader", "id": "m", "eventUri": "urn:x", "source": {"endpoint": "urn:y"}}
    brought = [header, patient(), around, whole, parts, ranged, inner, {"resourceType": "Claim"}]
    return bundle(
        "transaction",
        *(entry(one, url=f"https://lab.example/fhir/{one['resourceType']}/{one.get('id')}") for one in brought),
    )


def mutated(chance: random.Random) -> dict[str, Any]:
    """A Bundle of any type with one to four places changed, left out, doubled or moved."""
    sent = copy.deepcopy(in_order())
    sent["type"] = chance.choice(KINDS)
    for _ in range(chance.randint(1, 4)):
        places = list(_places(sent))
        holder, step = chance.choice(places)
        _change(holder, step, chance, other=chance.choice(places))
    return sent


def _places(value: Any) -> Any:
    steps = value.items() if isinstance(value, dict) else enumerate(value)
    for step, one in steps:
        yield value, step
        if isinstance(one, dict | list):
            yield from _places(one)


def _change(holder: Any, step: Any, chance: random.Random, *, other: Any) -> None:
    match chance.randrange(5):
        case 0:
            del holder[step]
        case 1 if isinstance(holder, list):
            holder.insert(step, copy.deepcopy(holder[step]))
        case 2:
            holder[step] = copy.deepcopy(other[0].get(other[1]) if isinstance(other[0], dict) else other[0][other[1]])
        case _:
            holder[step] = copy.deepcopy(chance.choice(ODD))


def outcome(sent: dict[str, Any]) -> str:
    """What became of it. Raises ``AssertionError`` when an entry is not accounted for exactly once."""
    try:
        found: Any = read(sent)
    except BadInput as refused:
        found = refused
    if isinstance(found, BadInput):
        assert found.faults
        assert all(fault.code and fault.detail for fault in found.faults)
        return "refused"
    entries = sent.get("entry") or []
    assert len(found.entries) == len(entries)
    assert all(sum(map(bool, (one.results, one.ignored, one.faults))) == 1 for one in found.entries)
    placed = [place for one in found.entries for place in one.results]
    there = [(p, r) for p, panel in enumerate(found.reading.panels) for r in range(len(panel.results))]
    assert sorted(placed) == there
    return "some faults" if any(one.faults for one in found.entries) else "read"


def main(count: int, seed: int) -> None:
    """Prints how many ended how."""
    ends = Counter(outcome(mutated(random.Random(f"{seed} {number}"))) for number in range(count))  # noqa: S311  a seed
    print(dict(ends))  # noqa: T201  that is what it is for


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
