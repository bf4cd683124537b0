"""Educational notes: fixed, reviewed text for each finding, and for each severity where it differs.

Law: a note is never made up at run time. Every number in its text has a numbered source below it.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.catalogue.shapes import NoteShape, read
from service.domain.errors import BadCatalogue
from service.domain.rules import Finding, Severity

# Put before a note whose flag may be worse than the severity it speaks of.
AT_LEAST = "The exact value is not known. It may be worse than this note says."

_CITATION = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSource:
    """What a note rests on; notes cite it by its place in the list."""

    title: str
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """The note for one finding at one severity. ``id`` changes whenever a word of it changes."""

    id: str = field(init=False)
    finding: Finding
    severity: Severity
    title: str
    opening: str
    what: str
    symptoms: tuple[str, ...]
    causes: tuple[str, ...]
    follows: str
    seek_help: str
    sources: tuple[NoteSource, ...]
    reviewed: str

    def __post_init__(self) -> None:
        digest = hashlib.sha256(json.dumps(self._body(), sort_keys=True).encode()).hexdigest()
        object.__setattr__(self, "id", f"{self.finding}-{self.severity}-{digest[:8]}")
        cited = {int(number) for number in _CITATION.findall(self.text)}
        if not cited or cited - set(range(1, len(self.sources) + 1)):
            raise BadCatalogue("the note cites no source, or one that is not listed", place=self.severity)

    @property
    def text(self) -> str:
        """The note as one text, in paragraphs."""
        symptoms, causes = "; ".join(self.symptoms), "; ".join(self.causes)
        return "\n\n".join(
            (
                self.opening,
                self.what,
                f"Watch for: {symptoms}.",
                f"Commoner causes: {causes}.",
                self.follows,
                self.seek_help,
            )
        )

    def _body(self) -> dict[str, Any]:
        return {
            "finding": self.finding.value,
            "severity": self.severity.value,
            "title": self.title,
            "text": self.text,
            "reviewed": self.reviewed,
            "sources": [{"title": source.title, "url": source.url} for source in self.sources],
        }

    def as_data(self) -> dict[str, Any]:
        """The note as plain data, as it is kept with the flags that showed it."""
        return {"id": self.id, **self._body()}


def notes_from(data: Mapping[str, Any]) -> tuple[Note, ...]:
    """The notes of one file. Raises ``BadCatalogue``."""
    shaped = read(NoteShape, data)
    common = {name: shaped[name] for name in ("finding", "title", "what", "follows")}
    common |= {name: tuple(shaped[name]) for name in ("symptoms", "causes")}
    sources = tuple(NoteSource(**source) for source in shaped["source"])
    return tuple(
        Note(severity=severity, sources=sources, reviewed=str(shaped["reviewed"]), **common, **words)
        for severity, words in shaped["severity"].items()
    )
