"""One panel, written in every language that a door understands.

Law: what is written here is read back by that language's reader as the same results of the same patient. Only what all
of them can say is written: results with a LOINC code, a number, a unit, a range and a status.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from service.domain.analytes import LOINC
from service.domain.panels import Panel, Result, SentRange, Status
from service.domain.people import Sex
from service.formats import csv_text

Data = dict[str, Any]


def native(panel: Panel) -> bytes:
    """As native JSON."""
    return orjson.dumps(_native(panel))


def ndjson(panel: Panel) -> bytes:
    """As a line of NDJSON."""
    return native(panel) + b"\n"


def _native(panel: Panel) -> Data:
    patient = panel.patient
    born = None if patient.born is None else patient.born.isoformat()
    who = {"id": patient.identifier, "authority": patient.authority, "sex": patient.sex.value, "birth_date": born}
    return _said(
        patient=_said(**who),
        accession=panel.accession,
        collected_at=_instant(panel.collected_at),
        issued_at=None if panel.issued_at is None else _instant(panel.issued_at),
        results=[_native_result(one) for one in panel.results],
    )


def _native_result(one: Result) -> Data:
    limits = one.range or SentRange()
    return _said(
        id=one.sender_id,
        code=_loinc(one),
        comparator=one.comparator or None,
        value=one.text,
        unit=one.unit,
        reference_range=_said(low=_text(limits.low), high=_text(limits.high)) or None,
        status=one.status.value,
    )


def csv(panel: Panel) -> bytes:
    """As CSV, with its header."""
    rows = [dict(_row(panel, one)) for one in panel.results]
    write = csv_text.writer()
    lines = [write(list(rows[0])), *(write([row[name] for name in rows[0]]) for row in rows)]
    return "".join(f"{line}\n" for line in lines).encode()


def _row(panel: Panel, one: Result) -> Iterator[tuple[str, str]]:
    patient, limits = panel.patient, one.range or SentRange()
    yield "patient_id", patient.identifier
    yield "authority", patient.authority or ""
    yield "sex", patient.sex.value
    yield "birth_date", "" if patient.born is None else patient.born.isoformat()
    yield "accession", panel.accession or ""
    yield "collected_at", _instant(panel.collected_at)
    yield "analyte", ""
    yield "code", _loinc(one)
    yield "comparator", one.comparator
    yield "value", one.text
    yield "unit", one.unit
    yield "low", _text(limits.low) or ""
    yield "high", _text(limits.high) or ""
    yield "status", one.status.value
    yield "result_id", one.sender_id or ""


# ---------------------------------------------------------------------------------------------------------- FHIR R4
_PATIENT = "urn:uuid:6f1f3c1e-6a0f-4d5e-9b1b-7d9f5a2c1e01"


def fhir(panel: Panel) -> bytes:
    """As a FHIR R4 transaction of a Patient and an Observation for each result."""
    entries = [{"fullUrl": _PATIENT, "resource": _patient(panel), "request": {"method": "POST", "url": "Patient"}}]
    for one in panel.results:
        observation = fhir_observation(panel, one, subject=_PATIENT)
        entries.append({"resource": observation, "request": {"method": "POST", "url": "Observation"}})
    return orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _patient(panel: Panel) -> Data:
    who = panel.patient
    identifier = _said(system=who.authority, value=who.identifier)
    born = None if who.born is None else who.born.isoformat()
    return _said(resourceType="Patient", identifier=[identifier], gender=who.sex.value, birthDate=born)


# What an Observation cannot say (that is for its report) in the nearest words that it has.
_OBSERVED = {Status.APPENDED: Status.FINAL}


def fhir_observation(panel: Panel, one: Result, *, subject: str) -> Data:
    """One result as an Observation of somebody."""
    quantity = _said(value=orjson.Fragment(one.text), comparator=one.comparator or None, unit=one.unit)
    limits = one.range or SentRange()
    ranged = {side: {"value": orjson.Fragment(str(end)), "unit": one.unit} for side, end in _ends(limits)}
    return _said(
        resourceType="Observation",
        identifier=None if one.sender_id is None else [{"system": "urn:lab-alerts:result", "value": one.sender_id}],
        status=_OBSERVED.get(one.status, one.status).value,
        category=[{"coding": [{"system": _CATEGORY, "code": "laboratory"}]}],
        code={"coding": [{"system": LOINC, "code": _loinc(one)}]},
        subject={"reference": subject},
        effectiveDateTime=_instant(panel.collected_at),
        issued=None if panel.issued_at is None else _instant(panel.issued_at),
        valueQuantity=quantity,
        referenceRange=[ranged] if ranged else None,
    )


_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


def _ends(limits: SentRange) -> Iterator[tuple[str, Any]]:
    for side, end in (("low", limits.low), ("high", limits.high)):
        if end is not None:
            yield side, end


# ----------------------------------------------------------------------------------------------------------- HL7 v2
_HL7_SEX = {Sex.FEMALE: "F", Sex.MALE: "M", Sex.OTHER: "O", Sex.UNKNOWN: "U"}
# Table 0085. What it has no letter for is said by the nearest one.
_HL7_STATUS = {
    Status.FINAL: "F",
    Status.APPENDED: "B",
    Status.CORRECTED: "C",
    Status.AMENDED: "A",
    Status.PRELIMINARY: "P",
    Status.REGISTERED: "R",
    Status.UNKNOWN: "R",
    Status.CANCELLED: "X",
    Status.ENTERED_IN_ERROR: "D",
}


def hl7v2(panel: Panel, *, control_id: str, processing: str = "P") -> bytes:
    """As an ORU^R01 of HL7 v2.5.1. ``processing`` is MSH-11: P, or T for a trial."""
    who, at = panel.patient, _hl7_time(panel.collected_at)
    born = "" if who.born is None else f"{who.born:%Y%m%d}"
    head = f"MSH|^~\\&|SENDER|SITE|LAB-ALERTS|SITE|{at}||ORU^R01^ORU_R01|{_hl7(control_id)}|{processing}|2.5.1"
    person = f"PID|1||{_hl7(who.identifier)}^^^{_hl7(who.authority or '')}^MR||||{born}|{_HL7_SEX[who.sex]}"
    order = f"OBR|1||{_hl7(panel.accession or control_id)}|58410-2^CBC^LN|||{at}||||||||||||||||||F"
    segments = [head, person, order, *(_obx(place, one, at) for place, one in enumerate(panel.results, start=1))]
    return "".join(f"{segment}\r" for segment in segments).encode()


def _obx(place: int, one: Result, at: str) -> str:
    kind, value = ("SN", f"{one.comparator}^{one.text}") if one.comparator else ("NM", one.text)
    fields = {
        1: str(place), 2: kind, 3: f"{_loinc(one)}^^LN", 5: value, 6: _hl7(one.unit), 7: _hl7_range(one.range),
        11: _HL7_STATUS[one.status], 14: at, 21: _hl7(one.sender_id or ""),
    }  # fmt: skip
    return "|".join(["OBX", *(fields.get(number, "") for number in range(1, 22))]).rstrip("|")


def _hl7_range(limits: SentRange | None) -> str:
    low, high = (None, None) if limits is None else (_text(limits.low), _text(limits.high))
    if low is not None and high is not None:
        return f"{low}-{high}"
    return f"<={high}" if high is not None else f">={low}" if low is not None else ""


_ESCAPED = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}


def _hl7(text: str) -> str:
    return "".join(_ESCAPED.get(sign, sign) for sign in text)


def _hl7_time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%d%H%M%S}+0000"


# -------------------------------------------------------------------------------------------------------- CDS Hooks
def cds_hooks(panel: Panel, *, instance: str) -> bytes:
    """As a call of the hook patient-view that brings the patient and the results as its prefetch."""
    observations = [fhir_observation(panel, one, subject="Patient/1") for one in panel.results]
    labs = [{"resource": one, "search": {"mode": "match"}} for one in observations]
    request = {
        "hook": "patient-view",
        "hookInstance": instance,
        "context": {"userId": "Practitioner/selftest", "patientId": "1"},
        "prefetch": {
            "patient": {**_patient(panel), "id": "1"},
            "labs": {"resourceType": "Bundle", "type": "searchset", "entry": labs},
        },
    }
    return orjson.dumps(request)


# Those that store what they are sent, and need nothing beside the panel.
STORING: Mapping[str, Callable[[Panel], bytes]] = {"json": native, "ndjson": ndjson, "csv": csv, "fhir": fhir}


def _said(**parts: Any) -> Data:
    """An object without what there is not."""
    return {name: part for name, part in parts.items() if part is not None}


def _loinc(one: Result) -> str:
    if one.code is None:
        raise ValueError("a result without a code cannot be written in every language")
    return one.code.code


def _text(number: Any) -> str | None:
    return None if number is None else str(number)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
