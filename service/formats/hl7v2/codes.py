"""What was measured (OBX-3) and in which unit (OBX-6): coded elements, with up to three ways to say the same.

Law: LOINC goes first, whichever triplet it stands in; a code of a system without a name is the sender's own.
"""

import re

from service.domain.analytes import LOINC
from service.domain.panels import Code
from service.formats.hl7v2.segments import Datum

_TRIPLETS = ((1, 2, 3), (4, 5, 6), (10, 11, 12))
_LOINC_NAMES = frozenset({"LN", "LOINC", "2.16.840.1.113883.6.1", "urn:oid:2.16.840.1.113883.6.1", LOINC})
_UCUM_NAMES = frozenset({"UCUM", "2.16.840.1.113883.6.8", "http://unitsofmeasure.org"})
_OID = re.compile(r"[0-2](?:\.\d+){3,}", re.ASCII)
# 10^9/L, written without escaping the component separator.
_POWER = re.compile(r"[x*]?10", re.IGNORECASE)
_POWER_REST = re.compile(r"\d{1,2}(?:/\S+)?", re.ASCII)


def codes(observation: Datum) -> tuple[Code, ...]:
    """The codes of OBX-3, LOINC first; the text alone when there is no code."""
    found = dict.fromkeys(
        Code(code=code, system=system_of(observation.component(name)))
        for at, _, name in _TRIPLETS
        if (code := observation.component(at))
    )
    if not found and (text := observation.component(2) or observation.component(5) or observation.component(9)):
        return (Code(code=text, system="urn:hl7v2:text"),)
    return tuple(sorted(found, key=lambda code: code.system != LOINC))


def system_of(name: str) -> str:
    """The URI of a coding system that HL7 gives a name."""
    if name in _LOINC_NAMES:
        return LOINC
    if _OID.fullmatch(name):
        return f"urn:oid:{name}"
    return name if "://" in name or name.startswith("urn:") else f"urn:hl7v2:{name or 'unnamed'}"


def unit(sent: Datum) -> tuple[str, bool]:
    """The unit of OBX-6: the UCUM code, or else the code or text that stands first; and whether it had to be mended."""
    first, second = sent.component(1), sent.component(2)
    if _POWER.fullmatch(first) and _POWER_REST.fullmatch(second):
        return f"{first}{sent.signs.component}{second}", True
    for at, _, name in _TRIPLETS[:2]:
        if sent.component(name) in _UCUM_NAMES and sent.component(at):
            return sent.component(at), False
    return next(filter(None, (sent.component(at) for at in (1, 4, 2, 5, 9))), ""), False
