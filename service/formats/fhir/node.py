"""JSON objects as FHIR elements: each field is asked for by name and type, and knows its FHIRPath.

Law: whatever JSON stands there, the answer has the type that was asked for, or is None; what had another type is a
fault at its place. Fields that nobody asks for, and the siblings of primitives (``_status``), are not looked at.
"""

from collections.abc import Mapping
from typing import Any

from service.formats.fhir.issues import Log
from service.formats.strict_json import Number

MAX_TEXT = 1_000
DATA_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


class Node:
    """One JSON object, where it stands, and the log to which its faults go."""

    __slots__ = ("log", "place", "sent")

    def __init__(self, sent: Mapping[str, Any], place: str, log: Log) -> None:
        self.sent, self.place, self.log = sent, place, log

    def at(self, name: str) -> str:
        return f"{self.place}.{name}" if self.place else name

    def has(self, name: str) -> bool:
        return self.sent.get(name) is not None

    def text(self, name: str, *, longest: int = MAX_TEXT) -> str | None:
        """A text that says something."""
        sent = self.sent.get(name)
        if sent is None:
            return None
        if isinstance(sent, Number) or not isinstance(sent, str):
            self.log.fault(self.at(name), "structure", "must be a text")
        elif not sent.strip():
            self.log.fault(self.at(name), "value", "must not be empty")
        elif len(sent) > longest:
            self.log.fault(self.at(name), "too-long", f"must have at most {longest} characters")
        else:
            return sent
        return None

    def number(self, name: str) -> Number | None:
        """A JSON number, to the letter."""
        sent = self.sent.get(name)
        if sent is None or isinstance(sent, Number):
            return sent
        hint = "write the number without quotes" if isinstance(sent, str) else None
        self.log.fault(self.at(name), "structure", "must be a number", hint=hint)
        return None

    def flag(self, name: str) -> bool | None:
        sent = self.sent.get(name)
        if sent is None or isinstance(sent, bool):
            return sent
        self.log.fault(self.at(name), "structure", "must be true or false")
        return None

    def child(self, name: str) -> "Node | None":
        """An object; None when there is none, or something else stands there."""
        sent = self.sent.get(name)
        return None if sent is None else self._node(sent, self.at(name))

    def children(self, name: str) -> "list[Node]":
        """The objects of a list."""
        sent = self.sent.get(name)
        if sent is None:
            return []
        if not isinstance(sent, list):
            self.log.fault(self.at(name), "structure", "must be a list")
            return []
        found = (self._node(one, f"{self.at(name)}[{index}]") for index, one in enumerate(sent))
        return [one for one in found if one is not None]

    def texts(self, name: str) -> list[str]:
        """The texts of a list."""
        sent = self.sent.get(name)
        if sent is None:
            return []
        if not isinstance(sent, list):
            self.log.fault(self.at(name), "structure", "must be a list")
            return []
        # In a list of primitives null keeps the place of one that has only extensions.
        if any(isinstance(one, Number) or not isinstance(one, str | None) for one in sent):
            self.log.fault(self.at(name), "structure", "must be a list of texts")
        return [one for one in sent if isinstance(one, str) and not isinstance(one, Number) and one.strip()]

    def _node(self, sent: Any, place: str) -> "Node | None":
        if isinstance(sent, dict):
            return Node(sent, place, self.log)
        self.log.fault(place, "structure", "must be an object")
        return None

    def understood(self) -> bool:
        """May it be read at all? ``implicitRules`` and modifier extensions change what it says, and we know none."""
        for name in ("implicitRules", "modifierExtension"):
            # An empty list is against the rules of FHIR, but says nothing.
            if self.sent.get(name) not in (None, []):
                detail = "changes what this says in a way that is not understood here"
                self.log.fault(self.at(name), "not-supported", detail)
                return False
        return True

    def absent_reason(self, *names: str) -> str | None:
        """Why a primitive has no value, as its sibling says (extension data-absent-reason)."""
        for name in names:
            sibling = self.sent.get(f"_{name}")
            reason = reason_in(sibling.get("extension")) if isinstance(sibling, dict) else None
            if reason:
                return reason
        return None


def reason_in(extensions: Any) -> str | None:
    """The code of the extension data-absent-reason, if it is among these."""
    for one in extensions if isinstance(extensions, list) else ():
        if isinstance(one, dict) and one.get("url") == DATA_ABSENT:
            reason = one.get("valueCode")
            return reason if isinstance(reason, str) and reason.strip() else "unknown"
    return None
