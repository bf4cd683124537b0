"""Short ways to speak FHIR with the service.

Law: whatever it answers is held against the models of ``fhir.resources`` (R4B), which are not ours.
"""

import json
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

from tests.formats.fhir.build import bundle, observation, patient, quantity

MEDIA = "application/fhir+json"
CONTENT_TYPE = "application/fhir+json; charset=utf-8"

Json = dict[str, Any]


def post(client: Any, value: Any, path: str = "", **headers: str) -> Any:
    """Send something; names of headers with underscores."""
    return _sent(client.post, value, path, headers)


def put(client: Any, value: Any, path: str, **headers: str) -> Any:
    return _sent(client.put, value, path, headers)


def _sent(method: Any, value: Any, path: str, headers: dict[str, str]) -> Any:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    named = {name.replace("_", "-"): one for name, one in headers.items()}
    return method(f"/fhir/R4{path}", data=data, content_type=MEDIA, headers=named)


def got(answer: Any, expected: int = 200) -> Json:
    """The resource that was answered, which is one of R4."""
    assert answer.status_code == expected, answer.text
    assert answer.content_type == CONTENT_TYPE
    body: Json = json.loads(answer.text)
    get_fhir_model_class(body["resourceType"]).model_validate_json(answer.text)
    return body


def get(client: Any, path: str, **query: Any) -> Json:
    return got(client.get(f"/fhir/R4{path}", query_string=query or None))


def found(client: Any, kind: str, **query: Any) -> list[Json]:
    """The resources of the one page of a search."""
    page = get(client, f"/{kind}", **query)
    return [one["resource"] for one in page.get("entry", [])]


def issues(outcome: Json) -> list[tuple[str, str, str]]:
    """Severity, code and place of each issue."""
    return [(one["severity"], one["code"], (one.get("expression") or [""])[0]) for one in outcome["issue"]]


def refused(answer: Any, status: int) -> list[tuple[str, str, str]]:
    """The issues of what was refused with a status."""
    body = got(answer, status)
    assert body["resourceType"] == "OperationOutcome"
    return issues(body)


def statuses(answer: Any) -> list[str]:
    """The status of each entry of a Bundle that was answered."""
    return [one["response"]["status"] for one in got(answer)["entry"]]


def calcium(value: Any = 11.9, **changed: Any) -> Json:
    """A calcium of the woman of the other tests."""
    return observation(**{"valueQuantity": quantity(value), **changed})


def hemoglobin(value: Any = 7.5, **changed: Any) -> Json:
    return observation("718-7", **{"id": "hb-1", "valueQuantity": quantity(value, "g/dL"), **changed})


def transaction(*entries: Json, **more: Any) -> Json:
    return bundle("transaction", patient(), *entries, **more)


def message(*resources: Json, id_: str = "m-1", **more: Any) -> Json:
    """A message of results."""
    header = {
        "resourceType": "MessageHeader",
        "id": id_,
        "eventCoding": {"system": "urn:events", "code": "results"},
        "source": {"endpoint": "https://lab.example/out"},
    }
    return bundle("message", header, patient(), *resources, **more)


WHO = "urn:oid:1.2.3|88204113"
LATER = "2026-11-02T10:00:00Z"
