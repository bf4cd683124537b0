"""Schemathesis reads the service's own OpenAPI document and asks for everything in it, in every way, and in chains.

Promise: every answer is as the document describes it; what the document does not allow is refused; what one answer
names, another request finds.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stress.audit import failed
from stress.client import Client
from stress.common import Found, Place, Size
from stress.server import Service, serving
from stress.story import Story

# What a schema cannot say (either an analyte or a code, no birth after the collection) is refused with reason.
_LEFT_OUT = ("positive_data_acceptance",)
_PATIENT = "described"


def trial(place: Place, size: Size) -> Found:
    """Run every phase of Schemathesis, the stateful one with links, against a service that holds a few flags."""
    folder = place.new_folder()
    with serving(place, place.address("sqlite"), log_level="warning", workers=size.of(1, 2)) as service:
        document = _document(service)
        (folder / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
        done = _run(service, folder, size)
        faults = list(failed(service))
    report = folder / "report.json"
    if not report.exists():
        return Found(faults=(f"Schemathesis ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}",))
    found = json.loads(report.read_text(encoding="utf-8"))
    faults += _faults(found, _phases(size))
    cases, operations = found["test_cases"]["generated"], found["operations"]["tested"]
    did = f"{cases:,} cases on {operations} operations, {_links(done.stdout)}"
    return Found(did=did, faults=tuple(faults))


def _links(printed: str) -> str:
    told = next((line for line in printed.splitlines() if "API Links" in line), "")
    return " ".join(told.split())


def _phases(size: Size) -> tuple[str, ...]:
    return size.of(("stateful",), ("examples", "coverage", "fuzzing", "stateful"))


def _faults(found: Any, phases: Sequence[str]) -> list[str]:
    told = [f"{one['title']}: {', '.join(one['operations'])} ({one['count']})" for one in found["failures"]]
    told += [f"error: {one.get('title', one)}" for one in found["errors"]]
    skipped = [name for name in phases if found["phases"].get(name, {}).get("status") not in ("success", "failure")]
    return told + [f"the phase {name} was not run" for name in skipped]


def _run(service: Service, folder: Path, size: Size) -> subprocess.CompletedProcess[str]:
    base = f"http://127.0.0.1:{service.port}"
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", "openapi.json", "--url", base]
    command += ["--header", f"Authorization: Bearer {service.key}", "--phases", ",".join(_phases(size))]
    command += ["--exclude-checks", ",".join(_LEFT_OUT), "--max-examples", str(size.of(5, 100)), "--seed", "1"]
    command += ["--generation-database", "none", "--continue-on-failure", "--no-color", "--no-shrink"]
    command += ["--report", "json", "--report-json-path", "report.json"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _document(service: Service) -> Any:
    """The document with ids that there are as examples, and with links to what the answer to a panel names."""
    with Client(service.port, service.key) as client:
        document = client.get("/openapi.json").data
        story = Story(1, patients=(_PATIENT,))
        receipt = client.post(story.next().body).data
        while not receipt["flags"]:
            receipt = client.post(story.next().body).data
    known = {"panel_id": receipt["id"], "flag_id": receipt["flags"][0]["id"], "patient_id": _PATIENT}
    for operations in document["paths"].values():
        for parameter in operations.get("parameters", []):
            if parameter["in"] == "path" and parameter["name"] in known:
                parameter["example"] = known[parameter["name"]]
    for status in ("200", "201"):
        document["paths"]["/v1/panels"]["post"]["responses"][status]["links"] = dict(_linked(document["paths"]))
    return document


_NAMED = {
    "panel_id": "$response.body#/id",
    "flag_id": "$response.body#/flags/0/id",
    "patient_id": "$request.body#/patient/id",
}


def _linked(paths: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """A link to everything that can be asked for by an id in the answer to a panel."""
    for path in paths:
        for name, place in _NAMED.items():
            if f"{{{name}}}" in path and "get" in paths[path]:
                escaped = path.replace("~", "~0").replace("/", "~1")
                yield path.strip("/"), {"operationRef": f"#/paths/{escaped}/get", "parameters": {name: place}}
