"""What this service calls its own things in FHIR: code systems, ids, patients, and how grave a finding is.

Law: an id of ours says nothing about anybody and leads back to one thing that is kept. Ids of FHIR have no underscore.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

FINDINGS = "urn:lab-alerts:finding"
ANALYTES = "urn:lab-alerts:analyte"
FLAGS = "urn:lab-alerts:flag"
EPISODES = "urn:lab-alerts:episode"
SEVERITY = "urn:lab-alerts:severity"
SUPERSEDED_BY = "urn:lab-alerts:superseded-by"
ACKNOWLEDGEMENTS = "urn:lab-alerts:acknowledgement"

_ULID = "[0-9A-HJKMNP-TV-Z]{26}"
_FLAG = re.compile(rf"flg-({_ULID})")
_JOINT = re.compile(rf"({_ULID})\.({_ULID})")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")

# Of five severities R4 has three (http://hl7.org/fhir/R4/valueset-detectedissue-severity.html); the finer one is said
# beside it.
GRAVITY = {"critical": "high", "severe": "high", "moderate": "moderate", "mild": "low", "info": "low"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """A patient by what others know them by: an identifier, and who gave it out."""

    authority: str
    identifier: str = field(repr=False)


def flag_id(name: str) -> str:
    """The id of a flag that is kept under a name (``flg_01JD…``)."""
    return name.replace("_", "-", 1)


def flag_name(id_: str) -> str | None:
    """The name of the flag that an id means; None when it is no id of ours."""
    found = _FLAG.fullmatch(id_)
    return None if found is None else f"flg_{found[1]}"


def joint_id(patient: str, name: str) -> str:
    """The id of what is kept under a patient and a name of its own: a result, an episode."""
    return f"{patient.partition('_')[2]}.{name.partition('_')[2]}"


def parted(id_: str, prefix: str) -> tuple[str, str] | None:
    """Patient and name that an id means; None when it is no id of ours."""
    found = _JOINT.fullmatch(id_)
    return None if found is None else (f"pat_{found[1]}", f"{prefix}_{found[2]}")


def versioned(id_: str, version: int) -> str:
    """The reference to one version of an Observation."""
    return f"Observation/{id_}/_history/{version}"


def patient(who: Who) -> Json:
    """The reference to a patient. There are no Patient resources here, and so it is by identifier."""
    return {"type": "Patient", "identifier": identifier(who.authority, who.identifier)}


def identifier(system: str, value: str) -> Json:
    """An identifier. A system has to be an address; who has none is named as the assigner."""
    if is_address(system):
        return {"system": system, "value": value}
    return {"value": value, **({"assigner": {"display": system}} if system else {})}


def is_address(text: str) -> bool:
    """May it stand where FHIR wants a URI?"""
    return _ADDRESS.fullmatch(text) is not None


def finding(name: str) -> Json:
    """A finding as a CodeableConcept; always *possible*, for none is a diagnosis."""
    words = name.replace("_", " ")
    said = f"Possible {_SPELLED.get(name, words)}"
    return {"coding": [{"system": FINDINGS, "code": name, "display": said}], "text": said}


_SPELLED = {"raised_alp": "raised ALP", "pattern": "pattern of findings"}


def severity(name: str) -> Json:
    """The severity in the words of this service, as an extension."""
    return {"url": SEVERITY, "valueCode": name}


def said(**parts: Any) -> Json:
    """An object without what there is not: JSON of FHIR has neither nulls nor empty lists."""
    return {name: part for name, part in parts.items() if part is not None and part != []}


def references(names: Iterable[str]) -> list[Json]:
    return [{"reference": one} for one in names]
