"""FHIR messages with the reading that was written down for them."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from service.domain.errors import BadInput
from service.formats.fhir.bundle import read_bundle
from service.formats.fhir.reader import parse, read_resource
from tests.formats.fhir.build import BASE, NOW, known

GOLDEN = Path(__file__).parents[2] / "golden" / "fhir"


def goldens():
    return sorted(path.stem for path in GOLDEN.glob("*.json") if not path.stem.endswith(".expected"))


def reading(body):
    """The reading of a message, or what it is refused for, as JSON."""
    try:
        value = parse(body)
        read = read_bundle if value["resourceType"] == "Bundle" else read_resource
        return plain(asdict(read(value, now=NOW, base=BASE, known=known)))
    except BadInput as refused:
        faults = [{"pointer": one.pointer, "code": one.code} for one in refused.faults]
        return {"refused": refused.kind, "faults": faults}


def plain(value):
    """A reading as JSON: what says nothing is left out."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if one not in (None, "", (), [])}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value if isinstance(value, bool | int) else str(value)


@pytest.mark.parametrize("name", goldens())
def test_a_golden_message_is_read_as_written_down(name):
    expected = json.loads((GOLDEN / f"{name}.expected.json").read_bytes())

    assert reading((GOLDEN / f"{name}.json").read_bytes()) == expected
