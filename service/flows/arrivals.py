"""From a panel as sent to the versions of results that it brings.

Law: pure. Each place of the panel becomes exactly one arrival: a duplicate of something held, or a new version of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from service.domain.analytes import LOINC_NAMES, Analyte, Analytes
from service.domain.drafts import drafted
from service.domain.errors import BadInput, Fault
from service.domain.identity import fingerprint, identity, words
from service.domain.panels import Code, Panel, Result
from service.domain.timeline import Held, Version, current, new_held, new_version
from service.storage.results import KeptVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One place of a panel.

    ``current``: it is the version that counts. ``duplicate``: the version was held already. ``known``: the result was
    held before in some version, so that what is already judged may change. ``revives``: because of it, this kept
    version counts from now on (one version without a time of issue makes the status decide between all).
    """

    held: Held
    version: Version
    identity: str = field(repr=False)
    fingerprint: str
    current: bool
    duplicate: bool = False
    known: bool = False
    panel: str | None = None
    revives: int | None = None
    notice: str | None = None


new_arrival = drafted(Arrival)


def analyte_of(result: Result, analytes: Analytes) -> str | None:
    """The analyte that a result is of: by name, or else by LOINC code."""
    found = known(result, analytes)
    return found.key if found else None


def known(result: Result, analytes: Analytes) -> Analyte | None:
    """What the catalogue, without a source's map, makes of a result."""
    return _named(result, analytes) if result.analyte is not None else _coded(result, analytes)


def _named(result: Result, analytes: Analytes) -> Analyte | None:
    return analytes.named(result.analyte) if result.analyte is not None else None


def _coded(result: Result, analytes: Analytes) -> Analyte | None:
    """The analyte of the first code that names one."""
    if not result.other_codes:
        return _by_code(result.code, analytes)
    found = (_by_code(code, analytes) for code in (result.code, *result.other_codes))
    return next((one for one in found if one is not None), None)


def _by_code(code: Code | None, analytes: Analytes) -> Analyte | None:
    return analytes.coded(code.code) if code is not None and code.system in LOINC_NAMES else None


def _by_map(result: Result) -> str | None:
    """The analyte that the map of its source makes of a result."""
    return None if result.mapped is None else result.mapped.analyte


def _contradictions(panel: Panel, analytes: Analytes) -> Iterator[Fault]:
    """The results of which the name and the code contradict each other."""
    for result in panel.results:
        named, coded = _named(result, analytes) or analytes.get(_by_map(result) or ""), _coded(result, analytes)
        if named and coded and named is not coded:
            detail = f"the analyte is {named.key}, but the code is one of {coded.key}"
            yield Fault(pointer=f"{result.pointer}/code", code="analyte-contradicts-code", detail=detail)


def identities(panel: Panel, source: str, analytes: Analytes) -> tuple[tuple[str | None, str], ...]:
    """Analyte and identity of each place of a panel. What only a map can read keeps the identity it has without it.

    Raises ``BadInput`` when two places are the same result, or when a name contradicts its code.
    """
    if contradictions := tuple(_contradictions(panel, analytes)):
        raise BadInput(contradictions)
    found = tuple(
        (analyte or _by_map(result), identity(source, panel, result, analyte=analyte))
        for result, analyte in ((result, analyte_of(result, analytes)) for result in panel.results)
    )
    faults = [
        Fault(
            pointer=result.pointer,
            code="result-repeated",
            detail="the panel holds this result twice",
            hint="give each of them an id of its own (results[].id)",
        )
        for place, (result, (_, name)) in enumerate(zip(panel.results, found, strict=True))
        if any(name == earlier for _, earlier in found[:place])
    ]
    if faults:
        raise BadInput(faults)
    return found


def arrivals(
    panel: Panel,
    names: Sequence[tuple[str | None, str]],
    *,
    kept: Mapping[str, Sequence[KeptVersion]],
    ruleset: str,
    new_id: Callable[[], str],
) -> tuple[Arrival, ...]:
    """What a panel brings, given the ``kept`` versions of its results.

    Raises ``BadInput`` when a result goes by the name of one of another analyte that it does not correct.
    """
    if kept and (strangers := list(_strangers(panel, names, kept))):
        raise BadInput(strangers)
    return tuple(
        _arrival(panel, result, analyte=analyte, name=name, kept=kept.get(name, ()), ruleset=ruleset, new_id=new_id)
        for result, (analyte, name) in zip(panel.results, names, strict=True)
    )


def _strangers(
    panel: Panel, names: Sequence[tuple[str | None, str]], kept: Mapping[str, Sequence[KeptVersion]]
) -> Iterator[Fault]:
    """Ids used again for something else: taken for another version, it would put an end to what was measured first."""
    for result, (analyte, name) in zip(panel.results, names, strict=True):
        if result.sender_id is None or result.mapped is not None or result.status.corrects:
            continue
        held = {one.analyte for one in kept.get(name, ()) if one.current}
        if analyte is not None and held and held.isdisjoint({None, analyte}):
            yield Fault(
                pointer=result.pointer,
                code="id-of-another-analyte",
                detail=f"goes by the id under which {held.pop()} is held",
                hint="give it an id of its own, or say by its status that it corrects the other one",
            )


def _arrival(
    panel: Panel,
    result: Result,
    *,
    analyte: str | None,
    name: str,
    kept: Sequence[KeptVersion],
    ruleset: str,
    new_id: Callable[[], str],
) -> Arrival:
    print_ = fingerprint(panel, result)
    if not kept:
        held = _held(panel, result, key=new_id(), version=1, analyte=analyte, ruleset=ruleset)
        first = new_version(number=1, status=result.status, issued_at=panel.issued_at)
        return new_arrival(held=held, version=first, identity=name, fingerprint=print_, current=True)
    # The same words issued at another time are another version: a correction may be corrected back.
    alike = [o for o in kept if o.version.issued_at == panel.issued_at and words(o.fingerprint) == words(print_)]
    # So are the same words that a source's map makes something else of than when they came last.
    same = alike[-1] if alike and alike[-1].fingerprint == print_ else None
    number = same.version.number if same else len(kept) + 1
    version = new_version(number=number, status=result.status, issued_at=panel.issued_at)
    counts = current([*(one.version for one in kept if one is not same), same.version if same else version])
    return new_arrival(
        held=_held(panel, result, key=kept[0].result, version=number, analyte=analyte, ruleset=ruleset),
        version=version,
        identity=name,
        fingerprint=print_,
        current=same.current if same else counts is version,
        duplicate=same is not None,
        known=True,
        panel=same.panel if same else None,
        revives=next((one.version.number for one in kept if one.version is counts and not one.current), None),
        notice=None if same else _notice(result, counts is version, anew=bool(alike)),
    )


def _held(panel: Panel, result: Result, *, key: str, version: int, analyte: str | None, ruleset: str) -> Held:
    return new_held(
        key=key,
        version=version,
        result=result,
        analyte=analyte,
        status=result.status,
        collected_at=panel.collected_at,
        pregnant=panel.pregnant,
        trimester=panel.trimester,
        age_years=panel.age_years,
        ruleset=ruleset,
    )


def _notice(result: Result, counts: bool, *, anew: bool) -> str | None:
    if not counts:
        return "a version of this result that outranks this one is held; this one is kept but does not count"
    if anew:
        return "it was held already, and the map of its source makes something else of it now"
    if not result.status.corrects:
        return f"another version of this result was held, and the status {result.status} does not announce a correction"
    return None
