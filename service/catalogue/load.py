"""Reads the catalogue from its files and proves all of it.

Law: all or nothing. A service that started has a catalogue without a fault in it.
"""

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from service.catalogue.build import analyte_from, ruleset_from
from service.catalogue.notes import Note, notes_from
from service.catalogue.shapes import IntendedUseShape, read
from service.domain.analytes import Analyte, Analytes
from service.domain.errors import BadCatalogue
from service.domain.rules import Finding, Severity
from service.domain.rulesets import Rulebook, RuleSet, prove

HOME: Traversable = files("service.catalogue")
INTENDED_USE = "intended_use.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All that is known: what results are judged by, the notes, and the words that go with every answer."""

    rulebook: Rulebook
    notes: Mapping[tuple[Finding, Severity], Note]
    intended_use: str
    loinc_notice: str

    def note(self, finding: Finding, severity: Severity) -> Note:
        return self.notes[finding, severity]


def load(current: str, home: Traversable = HOME) -> Catalogue:
    """The catalogue, with ``current`` as the rule set in force.

    Raises ``BadCatalogue`` naming file, place and row of the first fault.
    """
    analytes = _analytes(home / "analytes")
    rulesets = {ruleset.version: ruleset for ruleset in _rulesets(home / "rulesets", analytes)}
    notes = {(note.finding, note.severity): note for note in _notes(home / "notes")}
    for ruleset in rulesets.values():
        _check_notes(ruleset, notes)
    return Catalogue(
        rulebook=Rulebook(analytes=analytes, rulesets=rulesets, current=current),
        notes=notes,
        intended_use=_intended_use(home / "notes" / INTENDED_USE),
        loinc_notice=(home / "LOINC_NOTICE.txt").read_text(encoding="utf-8"),
    )


def _analytes(folder: Traversable) -> Analytes:
    found = tuple(_analyte(file) for file in _files(folder))
    try:
        return Analytes(all=found)
    except BadCatalogue as error:
        raise error.within(f"{error.place}.toml") from None


def _analyte(file: Traversable) -> Analyte:
    with _naming(file):
        analyte = analyte_from(_toml(file))
        _check_name(file, analyte.key)
        return analyte


@contextmanager
def _naming(file: Traversable) -> Iterator[None]:
    try:
        yield
    except BadCatalogue as error:
        raise error.within(file.name) from None


def _check_name(file: Traversable, key: str) -> None:
    if file.name != f"{key}.toml":
        raise BadCatalogue(f"the file must be called {key}.toml")


def _files(folder: Traversable) -> list[Traversable]:
    return sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)


def _toml(file: Traversable) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise BadCatalogue(f"not TOML: {error}") from None


def _rulesets(folder: Traversable, analytes: Analytes) -> Iterator[RuleSet]:
    for file in _files(folder):
        with _naming(file):
            checksum = hashlib.sha256(file.read_bytes()).hexdigest()
            ruleset = ruleset_from(_toml(file), analytes, checksum=checksum)
            prove(ruleset, analytes)
            _check_name(file, ruleset.version)
        yield ruleset


def _notes(folder: Traversable) -> Iterator[Note]:
    for file in _files(folder):
        if file.name != INTENDED_USE:
            with _naming(file):
                found = notes_from(_toml(file))
            yield from found


def _intended_use(file: Traversable) -> str:
    with _naming(file):
        text: str = read(IntendedUseShape, _toml(file))["text"]
    return text.strip()


def _check_notes(ruleset: RuleSet, notes: Mapping[tuple[Finding, Severity], Note]) -> None:
    wanted = {(rule.finding, row.severity) for rule in ruleset.graded for row in rule.rows}
    if ruleset.pattern:
        wanted.add((ruleset.pattern.finding, ruleset.pattern.severity))
    if missing := sorted(wanted - set(notes)):
        raise BadCatalogue(f"no note for {' '.join(missing[0])}", file=f"{ruleset.version}.toml")
