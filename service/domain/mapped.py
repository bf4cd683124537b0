"""How a result is judged of which its source's map made something.

    the words as sent ─► as the map reads them ─► the judgement of everybody else ─► told in the words as sent

Law: the judgement itself knows no maps. What is told of it always says that there was one, and which.
"""

from dataclasses import replace

from service.domain.panels import Mapped, Result
from service.domain.timeline import Held
from service.domain.verdicts import Verdict


def as_read(held: Held) -> Held:
    """The result in the units that the map reads."""
    mapped = held.result.mapped
    return held if mapped is None else replace(held, result=_in_units(held.result, mapped))


def _in_units(sent: Result, mapped: Mapped) -> Result:
    range_ = sent.range
    if range_ is not None and mapped.range_unit is not None:
        range_ = replace(range_, unit=mapped.range_unit)
    return replace(sent, unit=mapped.unit or sent.unit, range=range_, mapped=None)


def told(verdict: Verdict, sent: Result, mapped: Mapped) -> Verdict:
    """The verdict, saying in which unit the value was sent and by which map it was read."""
    found = replace(verdict, why=f"{verdict.why}; {_said(sent, mapped, verdict.analyte)}")
    if verdict.explanation is None:
        return found
    value = verdict.explanation["value"]
    # A verdict that is remembered stays as it is: it is that of others, too.
    if not isinstance(value, dict):
        raise TypeError("an explanation has a value")
    own = {**value, "unit": sent.unit, "read_as": mapped.unit or sent.unit, "mapped_by": mapped.by}
    return replace(found, explanation={**verdict.explanation, "value": own})


def _said(sent: Result, mapped: Mapped, analyte: str | None) -> str:
    in_unit = f"sent in {sent.unit!r} and " if mapped.unit else ""
    in_range = f", its range in {mapped.range_unit}" if mapped.range_unit and not mapped.unit else ""
    unit = f" in {mapped.unit}" if mapped.unit else ""
    return f"{in_unit}read as {analyte}{unit}{in_range} by the map {mapped.by}"
