"""Which result a message speaks of, and whether it says anything new about it.

Law: identity comes from what the sender said, never from the value; the same identity with other content is another
version of the same result.
"""

import hashlib
import json
from decimal import Decimal
from typing import Any

from service.domain.panels import Panel, Result


def identity(source: str, panel: Panel, result: Result, *, analyte: str | None) -> str:
    """The identity of a result within its patient, as a digest, so that it has the same length whatever was sent.

    The sender's own id for it; else the accession with analyte and time of collection; else analyte and time of
    collection alone. The source is always part of it.
    """
    if result.sender_id is not None:
        return _digest([source, "id", result.sender_id])
    about = [_about(result, analyte), panel.collected_at.isoformat()]
    if panel.accession is not None:
        return _digest([source, "accession", panel.accession, *about])
    return _digest([source, "collection", *about])


def _digest(said: list[Any]) -> str:
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _about(result: Result, analyte: str | None) -> str:
    if analyte is not None:
        return analyte
    if result.code is not None:
        return f"{result.code.system}|{result.code.code}"
    return result.analyte or ""


def fingerprint(panel: Panel, result: Result) -> str:
    """A digest of everything that this message says about a result and that its judgement may rest on."""
    sent = result.range
    said = [
        panel.collected_at.isoformat(),
        [panel.pregnant, panel.trimester, panel.age_years],
        [result.analyte, result.code.system if result.code else None, result.code.code if result.code else None],
        [result.comparator, result.text, result.unit, result.status.value, result.note],
        None if sent is None else [_text(sent.low), _text(sent.high), sent.unit],
    ]
    return _digest(said)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)
