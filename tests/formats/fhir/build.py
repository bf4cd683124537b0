"""Short ways to write FHIR resources, and to read them as a door would.

Law: nothing here computes an expectation; it writes messages down.
"""

import json
from datetime import UTC, datetime
from typing import Any

from service.domain.analytes import LOINC
from service.domain.errors import BadInput
from service.formats.fhir.bundle import read_bundle
from service.formats.fhir.reader import parse, read_resource

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BASE = "https://lab.example/fhir"
UCUM = "http://unitsofmeasure.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
KNOWN = frozenset({"17861-6", "718-7", "777-3", "6768-6"})

Json = dict[str, Any]


def known(code):
    return code.system == LOINC and code.code in KNOWN


def concept(code: str, system: str = LOINC) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def quantity(value: Any, unit: str = "mg/dL", **more: Any) -> Json:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit, **more}


def observation(code: Any = "17861-6", **changed: Any) -> Json:
    """A calcium of 11.9 mg/dL; what is given as None is left out."""
    whole = {
        "resourceType": "Observation",
        "id": "ca-1",
        "status": "final",
        "code": concept(code) if isinstance(code, str) else code,
        "subject": {"reference": "Patient/p-1"},
        "effectiveDateTime": "2026-11-01T08:00:00+01:00",
        "issued": "2026-11-01T10:00:00+01:00",
        "valueQuantity": quantity(11.9),
        **changed,
    }
    return {name: one for name, one in whole.items() if one is not None}


def patient(**changed: Any) -> Json:
    whole = {
        "resourceType": "Patient",
        "id": "p-1",
        "identifier": [{"system": "urn:oid:1.2.3", "value": "88204113"}],
        "gender": "female",
        "birthDate": "1968-03-14",
        **changed,
    }
    return {name: one for name, one in whole.items() if one is not None}


def report(*results: str, **changed: Any) -> Json:
    whole = {
        "resourceType": "DiagnosticReport",
        "id": "r-1",
        "status": "final",
        "code": concept("24323-8"),
        "subject": {"reference": "Patient/p-1"},
        "effectiveDateTime": "2026-11-01T08:00:00+01:00",
        "issued": "2026-11-01T10:00:00+01:00",
        "result": [{"reference": one} for one in results] or None,
        **changed,
    }
    return {name: one for name, one in whole.items() if one is not None}


def entry(resource: Json, *, url: str | None = None, method: str | None = "POST", **request: Any) -> Json:
    """An entry; a method of None leaves the request out."""
    target = resource["resourceType"] + (f"/{resource.get('id')}" if method == "PUT" else "")
    asked = {} if method is None else {"request": {"method": method, "url": target, **request}}
    return {**({} if url is None else {"fullUrl": url}), "resource": resource, **asked}


def bundle(kind: str, *entries: Json, **more: Any) -> Json:
    """A Bundle; of what is no entry yet one is made."""
    method = "POST" if kind in ("transaction", "batch") else None
    made = [entry(one, method=method) if "resourceType" in one else one for one in entries]
    return {"resourceType": "Bundle", "type": kind, "entry": made, **more}


def sent(value: Any) -> Any:
    """A value as it comes out of the bytes in which it was sent."""
    return parse(json.dumps(value).encode())


def read(value: Json, **more: Any) -> Any:
    return read_bundle(sent(value), **{"now": NOW, "base": BASE, "known": known, **more})


def read_one(value: Any, **more: Any) -> Any:
    return read_resource(sent(value), **{"now": NOW, "base": BASE, "known": known, **more})


def results(found: Any) -> list[Any]:
    return [one for panel in found.reading.panels for one in panel.results]


def only(value: Json) -> Any:
    """The one result of one Observation."""
    (one,) = results(read_one(value))
    return one


def panel_of(value: Json) -> Any:
    (one,) = read_one(value).reading.panels
    return one


def faults(value: Json, how: Any = None) -> list[tuple[str, str]]:
    """Places and codes of what a message is refused for."""
    try:
        (how or (read if value.get("resourceType") == "Bundle" else read_one))(value)
    except BadInput as refused:
        return [(one.pointer, one.code) for one in refused.faults]
    return []


def notices(value: Json) -> list[str]:
    found = read(value) if value["resourceType"] == "Bundle" else read_one(value)
    return [one.code for one in found.reading.notices]
