"""The OpenAPI document, arranged for reading: operations with their fields, parameters and answers.

Law: nothing is said here that the document does not say.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldLine:
    """One field of a body, or one parameter."""

    name: str
    kind: str
    required: bool
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation as the page shows it."""

    anchor: str
    method: str
    path: str
    summary: str
    about: str
    scope: str | None
    parameters: tuple[FieldLine, ...]
    body: tuple[FieldLine, ...]
    answers: tuple[tuple[str, str], ...]
    fields: tuple[FieldLine, ...]


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    """Every operation of the document, in its order."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                # What stands beside the methods of a path holds for each of them.
                shared = [*methods.get("parameters", ()), *operation.get("parameters", ())]
                yield _operation(path, method, {**operation, "parameters": shared}, document=document)


def _operation(path: str, method: str, operation: Mapping[str, Any], *, document: Mapping[str, Any]) -> Operation:
    well = next(answer for status, answer in sorted(operation["responses"].items()) if status.startswith("2"))
    return Operation(
        anchor=f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}",
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        about=operation.get("description", ""),
        scope=operation.get("x-scope"),
        parameters=tuple(_parameter(one, document) for one in operation["parameters"]),
        body=tuple(_fields(_content(operation.get("requestBody", {})), document)),
        answers=tuple((status, one.get("description", "")) for status, one in sorted(operation["responses"].items())),
        fields=tuple(_fields(_content(well), document)),
    )


def _content(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    for content in holder.get("content", {}).values():
        found: Mapping[str, Any] = content.get("schema", {})
        return found
    return {}


def _parameter(parameter: Mapping[str, Any], document: Mapping[str, Any]) -> FieldLine:
    return FieldLine(
        name=parameter["name"],
        kind=f"{parameter['in']}, {_kind(parameter.get('schema', {}), document)}",
        required=bool(parameter.get("required")),
        about=parameter.get("description", ""),
    )


def _fields(schema: Mapping[str, Any], document: Mapping[str, Any], prefix: str = "") -> Iterator[FieldLine]:
    """The fields of a schema, with those of the objects within it behind their name."""
    schema = _resolved(schema, document)
    required = set(schema.get("required", ()))
    for name, below in schema.get("properties", {}).items():
        listed = below.get("type") == "array"
        inner = _resolved(below.get("items", {}) if listed else below, document)
        full = f"{prefix}{name}{'[]' if listed else ''}"
        about = below.get("description") or ("" if listed else inner.get("description", ""))
        yield FieldLine(name=full, kind=_kind(below, document), required=name in required, about=about)
        yield from _fields(inner, document, f"{full}.")


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    if "anyOf" in schema:
        schema = next((one for one in schema["anyOf"] if one.get("type") != "null"), {})
    if "$ref" in schema:
        found: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def _kind(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    schema = _resolved(schema, document)
    if "enum" in schema:
        return ", ".join(str(one) for one in schema["enum"] if one is not None)
    if "oneOf" in schema:
        return " or ".join(_kind(one, document) for one in schema["oneOf"] if one.get("type") != "null")
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}), document)}"
    kinds = schema.get("type", "any")
    kind = kinds if isinstance(kinds, str) else " or ".join(one for one in kinds if one != "null")
    return str(schema.get("format", kind))
