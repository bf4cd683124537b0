"""What is held and what was looked up, as one picture.

Law: pure. A finding is one however many show it, and is told by the newest result that does; where a newer one shows
that it no longer stands, that is said, or the finding is left out if it was never ours.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from service.domain.analytes import Analytes
from service.domain.rules import Finding
from service.domain.verdicts import Outcome, Reason
from service.flows.cds_prefetch import Newest
from service.formats.cds_hooks.advice import Found, Unjudged
from service.formats.cds_hooks.wording import analyte_words

ByFinding = Mapping[Finding, Found]
# These say that something is judged by another result, or by nobody; nothing is lacking.
_NOTHING_LACKS = frozenset({Reason.PRECEDENCE.value, Reason.NO_RULE.value})
_NO_RESULT = frozenset({Reason.CANCELLED.value, Reason.ENTERED_IN_ERROR.value, Reason.REGISTERED.value})
_AT_LEAST = 2


def standing(ours: ByFinding, theirs: ByFinding, cleared: Mapping[Finding, datetime]) -> list[Found]:
    """The findings that stand, from what is held (``ours``) and what was looked up (``theirs``)."""
    both = {finding: _one(ours.get(finding), theirs.get(finding)) for finding in (*ours, *theirs)}
    found = [one for one in (_looked_past(one, cleared.get(one.finding)) for one in both.values() if one) if one]
    others = sum(one.finding is not Finding.PATTERN and one.cleared_at is None for one in found)
    # A pattern that only what was looked up shows is one of findings that stand.
    return [one for one in found if one.finding is not Finding.PATTERN or one.flag or others >= _AT_LEAST]


def joined(one: Mapping[Finding, Found], further: Iterable[Found]) -> dict[Finding, Found]:
    """More findings of the same person, held under another name of theirs."""
    found = dict(one)
    for each in further:
        before = found.get(each.finding)
        found[each.finding] = each if before is None else _together(before, each)
    return found


def _one(ours: Found | None, theirs: Found | None) -> Found | None:
    return _together(ours, theirs) if ours and theirs else ours or theirs


def _together(ours: Found, theirs: Found) -> Found:
    newer = theirs if theirs.collected_at > ours.collected_at else ours
    return replace(
        newer,
        flag=newer.flag or ours.flag or theirs.flag,
        opened_at=min(ours.opened_at, theirs.opened_at),
        peak=max(ours.peak, theirs.peak, key=lambda severity: severity.rank),
    )


def _looked_past(found: Found, cleared: datetime | None) -> Found | None:
    if cleared is None or cleared <= found.collected_at:
        return found
    return replace(found, cleared_at=cleared) if found.flag else None


def unjudged(results: Sequence[Newest], analytes: Analytes) -> Iterator[Unjudged]:
    """The analytes of which no newest result could be judged, by what is held and what was looked up together."""
    counting = [one for one in results if one.reason not in _NO_RESULT]
    known = [one for one in counting if one.analyte is not None]
    for analyte in dict.fromkeys(one.analyte for one in known):
        own = [one for one in known if one.analyte == analyte]
        last = [one for one in own if one.at == max(each.at for each in own)]
        if not any(map(_judged, last)):
            about = analyte_words(analyte, analytes) or ""
            yield Unjudged(about=about, why=last[0].why, collected_at=last[0].at)
    if counting and not known:
        why = "none of the results that came with this call names an analyte that is judged here"
        yield Unjudged(about="results", why=why)


def _judged(one: Newest) -> bool:
    return one.outcome != Outcome.NOT_JUDGED.value or one.reason in _NOTHING_LACKS
