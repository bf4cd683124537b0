"""Holds answers against the service's own OpenAPI document.

Law: an answer may hold nothing that is not described, and everything that is required.
"""

import copy
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from service.api.problems import MEDIA_TYPE, PROBLEMS

PROBLEM_MEMBERS = {"type", "title", "status", "detail", "remedy", "instance", "requestId"}


def operation_of(document: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][path][method]
    return found


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    """A validator for which members that are not described are faults."""
    components = copy.deepcopy(document["components"])
    for one in components["schemas"].values():
        if one.get("properties"):
            one.setdefault("additionalProperties", False)
    found = {**schema, "components": components}
    kind = validator_for(found, default=Draft202012Validator)
    return kind(found, format_checker=kind.FORMAT_CHECKER)


def as_described(document: dict[str, Any], path: str, answer: Any) -> Any:
    """The body of an answer that is as described for its path, method and status."""
    status, media = str(answer.status_code), answer.mimetype
    responses = operation_of(document, path, answer.request.method.lower())["responses"]
    assert status in responses, f"{path} answers {status}, which is not described"
    assert media in responses[status].get("content", {}), f"{path} answers {status} in {media}, which is not described"
    body = answer.get_json()
    faults = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
        for error in validator(document, responses[status]["content"][media]["schema"]).iter_errors(body)
    ]
    assert faults == []
    return body


def as_problem(answer: Any, slug: str) -> dict[str, Any]:
    """The body of an answer that is the documented problem, whole."""
    body: dict[str, Any] = answer.get_json()
    known = PROBLEMS[slug]
    assert answer.mimetype == MEDIA_TYPE
    assert set(body) - {"errors"} == PROBLEM_MEMBERS
    assert (body["type"], body["title"], body["status"]) == (known.type, known.title, known.status)
    assert answer.status_code == known.status
    assert body["requestId"] == answer.headers["Request-Id"]
    for error in body.get("errors", []):
        assert {"pointer", "code", "detail"} <= set(error) <= {"pointer", "code", "detail", "value", "hint"}
    return body
