"""What a source calls things: its local codes, names and units, and what they are in the catalogue.

Law: a map only adds. What the catalogue knows is never read otherwise because of a map, and what neither knows stays
unknown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from service.domain.analytes import LOINC, LOINC_NAMES, Analyte, Analytes
from service.domain.errors import BadInput, Fault
from service.domain.panels import Mapped, Panel, Result
from service.domain.texts import says_something
from service.domain.units import tidy

# The system of what is no code but a name of an analyte, as the native format and CSV have them.
NAME = "urn:lab-alerts:name"
KIND = "invalid-source-map"
LONGEST_NAME = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedCode:
    """A code of a system, or a name (of the system ``NAME``), and the analyte that it is."""

    system: str
    code: str
    analyte: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedUnit:
    """A spelling of a unit, and the unit of an analyte that it is."""

    analyte: str
    spelling: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMap:
    """The map of one source. ``zone`` is the time zone of its times without an offset. Version 0 is the empty map.

    Systems are compared exactly, but for the names of LOINC; codes without white space around them; names without
    regard to case; spellings as the catalogue compares those of which the case matters.
    """

    name: str
    version: int = 0
    zone: str | None = None
    codes: tuple[MappedCode, ...] = ()
    units: tuple[MappedUnit, ...] = ()
    _analytes: Mapping[tuple[str, str], str] = field(init=False, repr=False, compare=False)
    _units: Mapping[tuple[str, str], str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        analytes = {place(one.system, one.code): one.analyte for one in self.codes}
        object.__setattr__(self, "_analytes", MappingProxyType(analytes))
        units = {(one.analyte, tidy(one.spelling)): one.unit for one in self.units}
        object.__setattr__(self, "_units", MappingProxyType(units))

    @property
    def title(self) -> str:
        """How verdicts name it."""
        return f"{self.name} version {self.version}"

    @property
    def meaning(self) -> tuple[str | None, Mapping[tuple[str, str], str], Mapping[tuple[str, str], str]]:
        """What it says: the same for two maps that differ only in order and spelling."""
        return self.zone, dict(self._analytes), dict(self._units)

    def analyte_of(self, result: Result) -> str | None:
        """The analyte of its name, or else of the first of its codes that is mapped."""
        places = [place(code.system, code.code) for code in (result.code, *result.other_codes) if code is not None]
        if result.analyte is not None:
            places.insert(0, place(NAME, result.analyte))
        return next((self._analytes[one] for one in places if one in self._analytes), None)

    def knows(self, system: str, code: str) -> bool:
        """Is a code or a name mapped?"""
        return place(system, code) in self._analytes

    def unit_of(self, analyte: str, spelling: str) -> str | None:
        """The unit of an analyte that a spelling is."""
        return self._units.get((analyte, tidy(spelling)))

    def within(self, analytes: Analytes) -> "SourceMap":
        """The same without what this catalogue does not have or, by now, reads otherwise."""
        faulty = {fault.pointer.rpartition("/")[0] for fault in _faults(self, analytes)}
        return replace(
            self,
            codes=tuple(one for at, one in enumerate(self.codes) if f"/codes/{at}" not in faulty),
            units=tuple(one for at, one in enumerate(self.units) if f"/units/{at}" not in faulty),
        )


def place(system: str, code: str) -> tuple[str, str]:
    """Where a code is looked up."""
    if system == NAME:
        return NAME, code.strip().casefold()
    return LOINC if system in LOINC_NAMES else system, code.strip()


# ------------------------------------------------------------------------------------------------- a map is checked
def check(found: SourceMap, analytes: Analytes) -> None:
    """Raise ``BadInput`` with every fault: what the catalogue does not have, contradicts it, or stands twice."""
    if faults := [*_faults_of_name(found.name), *_faults(found, analytes), *_repeated(found)]:
        raise BadInput(faults, kind=KIND)


def _faults_of_name(name: str) -> Iterator[Fault]:
    if not says_something(name):
        yield Fault(pointer="", code="empty", detail="the name of a source must not be empty")
    if len(name) > LONGEST_NAME:
        yield Fault(pointer="", code="too-long", detail=f"the name of a source has at most {LONGEST_NAME} characters")


def _faults(found: SourceMap, analytes: Analytes) -> Iterator[Fault]:
    for at, code in enumerate(found.codes):
        yield from _faults_of_code(code, f"/codes/{at}", analytes)
    for at, unit in enumerate(found.units):
        yield from _faults_of_unit(unit, f"/units/{at}", analytes)


def _faults_of_code(one: MappedCode, pointer: str, analytes: Analytes) -> Iterator[Fault]:
    if analytes.get(one.analyte) is None:
        yield _no_analyte(one.analyte, pointer, analytes)
        return
    known = in_catalogue(one.system, one.code, analytes)
    if known is not None and known.key != one.analyte:
        detail = f"the catalogue knows it as {known.key}"
        yield Fault(pointer=f"{pointer}/code", code="contradicts-catalogue", detail=detail, value=one.code)


def in_catalogue(system: str, code: str, analytes: Analytes) -> Analyte | None:
    """The analyte of which the catalogue knows a code or a name."""
    if system == NAME:
        return analytes.named(code)
    return analytes.coded(code) if system in LOINC_NAMES else None


def _no_analyte(name: str, pointer: str, analytes: Analytes) -> Fault:
    near = analytes.nearest(name)
    hint = f"did you mean {near!r}?" if near else "GET /v1/analytes lists the keys"
    detail = "is not the key of an analyte"
    return Fault(pointer=f"{pointer}/analyte", code="analyte-unknown", detail=detail, value=name, hint=hint)


def _faults_of_unit(one: MappedUnit, pointer: str, analytes: Analytes) -> Iterator[Fault]:
    analyte = analytes.get(one.analyte)
    if analyte is None:
        yield _no_analyte(one.analyte, pointer, analytes)
        return
    if one.unit not in analyte.units.codes:
        hint = f"accepted units: {', '.join(analyte.units.codes)}"
        detail = f"is not a unit of {analyte.key}"
        yield Fault(pointer=f"{pointer}/unit", code="unit-unknown", detail=detail, value=one.unit, hint=hint)
        return
    known = analyte.units.find(one.spelling)
    if known is not None and known.code != one.unit:
        detail = f"the catalogue knows it as {known.code}"
        yield Fault(pointer=f"{pointer}/spelling", code="contradicts-catalogue", detail=detail, value=one.spelling)


def _repeated(found: SourceMap) -> Iterator[Fault]:
    codes = [(one.code, place(one.system, one.code)) for one in found.codes]
    units = [(one.spelling, (one.analyte, tidy(one.spelling))) for one in found.units]
    yield from _twice(codes, "/codes/{}/code")
    yield from _twice(units, "/units/{}/spelling")


def _twice(listed: Sequence[tuple[str, tuple[str, str]]], pointer: str) -> Iterator[Fault]:
    seen: set[tuple[str, str]] = set()
    for at, (said, name) in enumerate(listed):
        if name in seen:
            detail = "is mapped above already"
            yield Fault(pointer=pointer.format(at), code="mapped-twice", detail=detail, value=said)
        seen.add(name)


# ----------------------------------------------------------------------------------------------- a map is made use of
def strange(result: Result, analyte: Analyte | None) -> bool:
    """Is there something in a result that the catalogue does not know, so that a map may help?

    ``analyte``: what the catalogue makes of it. A missing unit is no spelling of one.
    """
    if analyte is None:
        return True
    range_, find = result.range, analyte.units.find
    if result.unit and find(result.unit) is None:
        return True
    return bool(range_ and range_.unit and find(range_.unit) is None)


def read_by(found: SourceMap, panel: Panel, known: Sequence[Analyte | None], *, analytes: Analytes) -> Panel:
    """The panel with what a map makes of its results; ``known`` is what the catalogue makes of each."""
    read = (
        replace(one, mapped=_mapped(found, one, known_as, analytes=analytes))
        for one, known_as in zip(panel.results, known, strict=True)
    )
    return replace(panel, results=tuple(read))


def _mapped(found: SourceMap, sent: Result, known: Analyte | None, *, analytes: Analytes) -> Mapped | None:
    """What a map makes of a result; None where that is nothing."""
    name = None if known else found.analyte_of(sent)
    analyte = known if name is None else analytes.get(name)
    if analyte is None:
        return None
    unit = _unit(found, analyte, sent.unit)
    range_unit = _unit(found, analyte, sent.range.unit) if sent.range else None
    read = name or unit or range_unit
    return Mapped(by=found.title, analyte=name, unit=unit, range_unit=range_unit) if read else None


def _unit(found: SourceMap, analyte: Analyte, spelling: str | None) -> str | None:
    """The unit that a spelling is by the map; None where the catalogue knows it, or nobody does."""
    return None if not spelling or analyte.units.find(spelling) else found.unit_of(analyte.key, spelling)
