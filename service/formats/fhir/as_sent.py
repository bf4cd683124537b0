"""An Observation as it was sent, taken out of the message that brought it.

Law: what was measured stays to the letter. What means something only where the message came from (ids, the subject,
relative references, the narrative) is left out, and so is what R4 does not know.
"""

import re
from collections.abc import Iterator
from typing import Any

from service.formats.fhir.ours import Json
from service.formats.strict_json import Number

_STEP = re.compile(r"([A-Za-z]+)(?:\[(\d+)\])?")
# What R4 knows of an Observation, but for what this server says itself; and what stands there in JSON.
_LISTS = "contained extension identifier basedOn partOf category focus performer interpretation note referenceRange"
_OBJECTS = (
    "code encounter effectivePeriod effectiveTiming valueQuantity valueCodeableConcept valueRange valueRatio "
    "valueSampledData valuePeriod dataAbsentReason bodySite method specimen device"
)
_TEXTS = "effectiveDateTime effectiveInstant issued valueString valueTime valueDateTime"
_SHAPES: dict[str, type] = {
    **dict.fromkeys(_LISTS.split(), list),
    **dict.fromkeys(_OBJECTS.split(), dict),
    **dict.fromkeys(_TEXTS.split(), str),
    "component": list,
    "valueBoolean": bool,
    "valueInteger": Number,
}


def observation_at(message: Any, place: str) -> Json | None:
    """The Observation that stands at a place (FHIRPath) of a message; None when something else does.

    A component is a part of an Observation and none itself.
    """
    here: Any = message
    for name, index in list(_steps(place))[1:]:
        here = here.get(name) if isinstance(here, dict) else None
        if index is not None:
            here = here[index] if isinstance(here, list) and index < len(here) else None
    return here if isinstance(here, dict) and here.get("resourceType") == "Observation" else None


def _steps(place: str) -> Iterator[tuple[str, int | None]]:
    for part in place.split("."):
        found = _STEP.fullmatch(part)
        yield ("", None) if found is None else (found[1], None if found[2] is None else int(found[2]))


def kept_of(sent: Json) -> Json:
    """What is shown again of an Observation that was sent."""
    whole = {name: one for name, one in sent.items() if _is_known(name, one)}
    cleaned: Json = _without_foreign(whole) or {}
    return _without_orphans(cleaned)


def _is_known(name: str, value: Any) -> bool:
    """Is it an element of R4, with what belongs there? Of a primitive the sibling is, too."""
    if name.startswith("_"):
        return _SHAPES.get(name[1:]) in (str, bool, Number) and isinstance(value, dict)
    shape = _SHAPES.get(name)
    return shape is not None and isinstance(value, shape) and (shape is not str or not isinstance(value, Number))


def _without_foreign(value: Any) -> Any:
    """A value without references that lead nowhere from here; None when nothing is left of it."""
    if isinstance(value, dict):
        pairs = ((name, _without_foreign(one)) for name, one in value.items() if not _foreign(name, one))
        left = {name: one for name, one in pairs if one is not None}
        # An extension is nothing without its value (ext-1).
        return None if not left or (len(value) > 1 and set(left) == {"url"}) else left
    if isinstance(value, list):
        return [one for one in map(_without_foreign, value) if one is not None] or None
    return value


def _foreign(name: str, value: Any) -> bool:
    return name == "reference" and not str(value).startswith(("#", "http://", "https://"))


def _without_orphans(whole: Json) -> Json:
    """Without contained resources to which nothing leads (dom-3): the patient, whose place was taken."""
    contained = whole.pop("contained", None)
    named = set(_references(whole))
    kept = [one for one in contained or () if isinstance(one, dict) and f"#{one.get('id')}" in named]
    return {**whole, "contained": kept} if kept else whole


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _references(one)
