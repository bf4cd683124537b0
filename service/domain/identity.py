"""Which result a message speaks of, and whether it says anything new about it.

Law: identity comes from what the sender said, never from the value; the same identity with other content is another
version of the same result. Digests are kept: they are those of the JSON of what was said, and stay so for ever.
"""

import hashlib
import json
from decimal import Decimal
from json.encoder import encode_basestring_ascii as quoted

from service.domain.panels import Mapped, Panel, Result


def identity(source: str, panel: Panel, result: Result, *, analyte: str | None) -> str:
    """The identity of a result within its patient, as a digest, so that it has the same length whatever was sent.

    The sender's own id for it; else the accession with analyte and time of collection; else analyte and time of
    collection alone. The source is always part of it.
    """
    if result.sender_id is not None:
        return _digest(f'[{quoted(source)}, "id", {quoted(result.sender_id)}]')
    about = f"{quoted(_about(result, analyte))}, {quoted(panel.collected_at.isoformat())}"
    if panel.accession is not None:
        return _digest(f'[{quoted(source)}, "accession", {quoted(panel.accession)}, {about}]')
    return _digest(f'[{quoted(source)}, "collection", {about}]')


def _digest(said: str) -> str:
    return hashlib.sha256(said.encode()).hexdigest()


def _about(result: Result, analyte: str | None) -> str:
    if analyte is not None:
        return analyte
    if result.code is not None:
        return f"{result.code.system}|{result.code.code}"
    return result.analyte or ""


def fingerprint(panel: Panel, result: Result) -> str:
    """A digest of everything that this message says about a result and that its judgement may rest on.

    Where its source's map made something of it, a digest of that is added.
    """
    code, sent = result.code, result.range
    what = "null, null" if code is None else f"{quoted(code.system)}, {quoted(code.code)}"
    value = f"{quoted(result.comparator)}, {quoted(result.text)}, {quoted(result.unit)}, {quoted(result.status)}"
    limits = "null" if sent is None else f"[{_number(sent.low)}, {_number(sent.high)}, {_text(sent.unit)}]"
    # What few senders say stands at the end, so that the digests of all others stay what they are.
    rest = _rarely_said(result)
    said = _digest(
        f"[{quoted(panel.collected_at.isoformat())}, "
        f"[{_fact(panel.pregnant)}, {_fact(panel.trimester)}, {_fact(panel.age_years)}], "
        f"[{_text(result.analyte)}, {what}], [{value}, {_text(result.note)}], {limits}{rest}]"
    )
    return said if result.mapped is None else f"{said}{_AND_READ}{_reading(result.mapped)}"


_AND_READ = "+"


def _reading(mapped: Mapped) -> str:
    """A digest of what a map made of a result, whichever version of the map it was."""
    return _digest(json.dumps([mapped.analyte, mapped.unit, mapped.range_unit]))


def words(fingerprint: str) -> str:
    """The digest of what was said alone, whatever was made of it."""
    return fingerprint.partition(_AND_READ)[0]


def _rarely_said(result: Result) -> str:
    unclear = result.range.unclear if result.range else None
    often = result.upper is None and not result.promotes
    if often and not (result.other_codes or result.interpretation or result.absent or unclear):
        return ""
    said = {
        "codes": [[one.system, one.code] for one in result.other_codes],
        "upper": None if result.upper is None else str(result.upper),
        "absent": result.absent,
        "promotes": result.promotes,
        "interpretation": list(result.interpretation),
        "unclear": unclear,
    }
    said = {name: one for name, one in said.items() if one}
    return f", {json.dumps(said)}" if said else ""


def _text(text: str | None) -> str:
    return "null" if text is None else quoted(text)


def _number(number: Decimal | None) -> str:
    return "null" if number is None else f'"{number!s}"'  # formatting a Decimal takes ten times as long


def _fact(fact: int | None) -> str:
    """A number, true, false or null."""
    return "null" if fact is None else str(fact).lower()
