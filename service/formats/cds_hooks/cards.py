"""What there is to say, as cards.

Law: everything that came from outside is escaped (``markdown``), and no card is without a uuid, without which nobody
could answer it. A finding is always *possible*, and what could not be judged is said.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from service.domain.rules import Finding, Severity
from service.formats.cds_hooks.advice import Found, Unjudged
from service.formats.cds_hooks.markdown import as_code, escaped, plain
from service.formats.fhir import ours

Json = dict[str, Any]

MAX_SUMMARY = 139
MAX_LINES = 20
LABEL = "Lab alert rules"

# "critical" interrupts: it is kept for what laboratories report by telephone at once (critical limits, CTCAE grade 4
# where it is life-threatening). CTCAE grades 1 to 3 are "not immediately life-threatening": they warn. "info" is for
# what weighs nothing by itself, so that a flag is never taken for a notice.
INDICATORS: Mapping[Severity, str] = {
    Severity.INFO: "info",
    Severity.MILD: "warning",
    Severity.MODERATE: "warning",
    Severity.SEVERE: "warning",
    Severity.CRITICAL: "critical",
}
_URGENCY = ("critical", "warning", "info")
_FINDINGS = tuple(Finding)

# http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes, as far as it fits what a card here says.
_REASONS = "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"
_DISPLAYS = {
    "action-completed": "Already dealt with",
    "patient-ineligible": "Does not apply to this patient",
    "action-not-priority": "Not a priority now",
    "wrong-time-workflow": "Shown at the wrong moment",
    "inappropriate-recipient": "Not for me to deal with",
    "need-more-info": "More information is needed",
    "recipient-does-not-trust": "I do not agree with it",
}
OVERRIDE_REASONS = tuple({"system": _REASONS, "code": code, "display": said} for code, said in _DISPLAYS.items())
LISTED = frozenset((one["system"], one["code"]) for one in OVERRIDE_REASONS)

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CORRECTED = "albumin_corrected_calcium"


def indicator(found: Found) -> str:
    """How urgent a card is. One that a newer result contradicts only informs."""
    return "info" if found.cleared_at is not None else INDICATORS[found.severity]


def in_order(found: Sequence[Found]) -> list[Found]:
    """The most urgent first; of those as urgent the worst, then the newest."""
    known = sorted(found, key=lambda one: _FINDINGS.index(one.finding))
    newest = sorted(known, key=lambda one: one.collected_at, reverse=True)
    return sorted(newest, key=lambda one: (_URGENCY.index(indicator(one)), -one.severity.rank))


def of_finding(found: Found, *, uuid: str, address: str, intended_use: str) -> Json:
    """The card of a finding; ``address`` is that of this service."""
    links = [] if found.flag is None else [_link("The flag, explained", f"{address}/flags/{found.flag}")]
    topic = ours.finding(found.finding.value)["coding"][0]
    return {
        "uuid": uuid,
        "summary": summary(found),
        "indicator": indicator(found),
        "detail": "\n\n".join([*_lines(found), escaped(intended_use)]),
        "source": {"label": LABEL, "url": f"{address}/v1/rulesets/{found.ruleset}", "topic": topic},
        "overrideReasons": list(OVERRIDE_REASONS),
        **({"links": links} if links else {}),
    }


def _link(label: str, url: str) -> Json:
    return {"label": label, "url": url, "type": "absolute"}


def of_unjudged(unjudged: Sequence[Unjudged], *, uuid: str, address: str, intended_use: str) -> Json:
    """The card that says what could not be judged, and why."""
    shown = [f"- {_about(one)}: {escaped(one.why)}" for one in unjudged[:MAX_LINES]]
    more = [f"- and {len(unjudged) - MAX_LINES} more"] if len(unjudged) > MAX_LINES else []
    detail = ["**Could not be judged:**", "\n".join([*shown, *more]), escaped(intended_use)]
    return {
        "uuid": uuid,
        "summary": _unjudged_summary(unjudged),
        "indicator": "info",
        "detail": "\n\n".join(detail),
        "source": {"label": LABEL, "url": f"{address}/docs"},
        "overrideReasons": list(OVERRIDE_REASONS),
    }


def _about(one: Unjudged) -> str:
    if one.place is not None:
        return as_code(one.place)
    return f"{escaped(one.about)}, {day(one.collected_at)}" if one.collected_at else escaped(one.about)


def _unjudged_summary(unjudged: Sequence[Unjudged]) -> str:
    names = list(dict.fromkeys(one.about for one in unjudged))
    return plain(f"Could not be judged: {', '.join(names)}", longest=MAX_SUMMARY)


def day(moment: datetime) -> str:
    """A day as people write it, in UTC: 2 Mar 2026."""
    utc = moment.astimezone(UTC)
    return f"{utc.day} {_MONTHS[utc.month - 1]} {utc.year}"


def summary(found: Found) -> str:
    """One line of plain text, shorter than 140 characters."""
    name, when = ours.finding(found.finding.value)["text"], day(found.collected_at)
    limit = _limit(found)
    whole = f"{name}: {_value(found)}{f' (limit {limit})' if limit else ''}, {when}"
    if len(plain(whole, longest=len(whole))) <= MAX_SUMMARY:
        return plain(whole)
    # The day says whether it matters: what is too long gives way to it.
    rest = f", {when}"
    return f"{plain(f'{name}: {_value(found)}', longest=MAX_SUMMARY - len(rest))}{rest}"


def _value(found: Found) -> str:
    """The value to the letter; of the pattern the findings that stand together."""
    told = found.explanation.get("value")
    if not isinstance(told, Mapping):
        together = found.explanation.get("findings")
        names = [str(one).replace("_", " ") for one in together] if isinstance(together, list) else []
        return " and ".join(names)
    return f"{found.analyte or ''} {told.get('comparator') or ''}{told['sent']} {told['unit']}".strip()


def _limit(found: Found) -> str | None:
    """The reference limit, without its unit where that is the value's own."""
    limit, value = found.explanation.get("limit"), found.explanation.get("value")
    if not isinstance(limit, Mapping) or not isinstance(value, Mapping):
        return None
    return str(limit["value"]).removesuffix(f" {value['unit']}")


def _lines(found: Found) -> Iterator[str]:
    yield f"**Why:** {escaped(found.why)}."
    yield f"**Severity:** {_severity(found)}."
    if found.cleared_at is not None:
        yield f"**Newer:** a result of {day(found.cleared_at)} that came with this call no longer shows it."
    if found.opened_at < found.collected_at:
        worst = "" if found.peak is found.severity else f"; the worst since then was {found.peak.value}"
        yield f"**Stands since:** {day(found.opened_at)}{worst}."
    if found.provisional:
        yield "**Preliminary:** the laboratory has not released the final result yet."
    yield from _around(found)


def _severity(found: Found) -> str:
    scales = [escaped(one) for one in (found.grade, found.classification) if one]
    said = f"{found.severity.value} ({'; '.join(scales)})" if scales else found.severity.value
    return f"{'at least ' if found.at_least else ''}{said}"


def _around(found: Found) -> Iterator[str]:
    """What was considered beside the value, what was not, and what was assumed."""
    corrected = (found.context or {}).get(_CORRECTED)
    if isinstance(corrected, Mapping):
        said = f"{corrected['value']} {corrected['unit']} (albumin {corrected['albumin']})"
        yield f"**Beside it:** calcium corrected for albumin would be {escaped(said)}; it decides nothing."
    elif found.analyte == "calcium":
        yield "**Not considered:** albumin, of which this collection has no result that could be used."
    assumed = found.explanation.get("assumptions")
    if isinstance(assumed, list) and assumed:
        yield f"**Assumed:** {'; '.join(escaped(str(one)) for one in assumed)}."
