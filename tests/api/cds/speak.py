"""Short ways to speak CDS Hooks with the service.

Law: nothing here computes an expectation; it writes calls down, and reads cards.
"""

import json
from datetime import UTC, datetime
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

from tests.flows.build import Sender, day
from tests.formats.fhir.build import bundle, observation, patient, quantity

SERVER = "https://ehr.example/fhir"
INSTANCE = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
HOOKS = {
    "lab-flags": "patient-view",
    "lab-flags-order-select": "order-select",
    "lab-flags-order-sign": "order-sign",
    "lab-flags-encounter-start": "encounter-start",
}
LOINC = {"calcium": "17861-6", "hemoglobin": "718-7", "platelets": "777-3", "alkaline_phosphatase": "6768-6"}

Json = dict[str, Any]


def context(service: str = "lab-flags", **changed: Any) -> Json:
    """The context of a hook with everything that it has to have."""
    whole: Json = {"userId": "Practitioner/doc-1", "patientId": "p-1"}
    if service == "lab-flags-encounter-start":
        whole["encounterId"] = "e-1"
    if service == "lab-flags-order-select":
        whole["selections"] = ["ServiceRequest/s-1"]
    if "order" in service:
        whole["draftOrders"] = {"resourceType": "Bundle", "type": "collection", "entry": []}
    return _without_nothing({**whole, **changed})


def labs(*resources: Any, **more: Any) -> Json:
    return bundle("searchset", *resources, **more)


def asked(service: str = "lab-flags", **changed: Any) -> Json:
    """A call with the patient, and without any results. What is given as None is left out."""
    prefetch = {"patient": patient(), "labs": labs(), **changed.pop("prefetch", {})}
    whole = {
        "hook": HOOKS.get(service),
        "hookInstance": INSTANCE,
        "fhirServer": SERVER,
        "context": context(service),
        "prefetch": {name: one for name, one in prefetch.items() if one is not ...},
    }
    return _without_nothing({**whole, **changed})


def _without_nothing(whole: Json) -> Json:
    return {name: one for name, one in whole.items() if one is not None}


def post(client: Any, body: Any, service: str = "lab-flags", path: str = "", **headers: str) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): one for name, one in headers.items()}
    return client.post(f"/cds-services/{service}{path}", data=data, content_type="application/json", headers=named)


def cards(answer: Any) -> list[Json]:
    """The cards of an answer, each with what CDS Hooks wants of it."""
    assert answer.status_code == 200, answer.text
    assert answer.content_type == "application/json"
    found: list[Json] = answer.get_json()["cards"]
    for card in found:
        assert 0 < len(card["summary"]) < 140
        assert card["indicator"] in {"info", "warning", "critical"}
        assert card["source"]["label"]
        assert card["uuid"]
        assert all(set(one) == {"system", "code", "display"} for one in card["overrideReasons"])
        assert all(one["type"] == "absolute" and one["url"].startswith("http") for one in card.get("links", ()))
        assert not {"suggestions", "selectionBehavior", "systemActions"} & set(card)
    return found


def look(client: Any, *, service: str = "lab-flags", **prefetch: Any) -> list[Json]:
    """The cards for the patient; ``...`` stands for what did not come."""
    return cards(post(client, asked(service, prefetch=prefetch), service))


def refused(answer: Any, status: int) -> list[tuple[str, str]]:
    """Code and place of each issue of a refusal, which is an OperationOutcome of R4."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/json"
    get_fhir_model_class("OperationOutcome").model_validate_json(answer.text)
    return [(one["code"], (one.get("expression") or [""])[0]) for one in answer.get_json()["issue"]]


def told(found: list[Json]) -> list[tuple[str, str]]:
    """Urgency and finding of each card; a card without a finding says what could not be judged."""
    return [(card["indicator"], card["source"].get("topic", {}).get("code", "not judged")) for card in found]


def result(analyte: str, value: Any, unit: str, *, on: float = 0, **changed: Any) -> Json:
    """A result as the client looks it up, collected on a day as those that are held are."""
    whole = {
        "id": f"{analyte}-{on}".replace("_", "-").replace(".", "-"),
        "effectiveDateTime": day(on).isoformat(),
        "issued": day(on).isoformat(),
        "valueQuantity": quantity(value, unit),
        **changed,
    }
    return observation(LOINC[analyte], **whole)


WHO = {"id": "88204113", "authority": "urn:oid:1.2.3", "sex": "female", "birth_date": "1968-03-14"}


def hold(means: Any, *results: Json, on: float = 0, **more: Any) -> Any:
    """Have the service hold results of the patient."""
    who = {**WHO, **more.pop("patient", {})}
    given = {"patient": who, "collected_at": day(on).isoformat(), "results": list(results), **more}
    return Sender(means).send(given, at=datetime(2026, 11, 20, 11, tzinfo=UTC))
