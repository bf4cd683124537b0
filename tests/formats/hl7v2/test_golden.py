"""Whole messages with the reading that was written down for them."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from service.domain.errors import BadInput
from tests.formats.hl7v2.build import read

GOLDEN = Path(__file__).parents[2] / "golden" / "hl7v2"


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.hl7")))
def test_a_golden_message_is_read_as_written_down(name):
    expected = json.loads((GOLDEN / f"{name}.expected.json").read_bytes())

    assert reading((GOLDEN / f"{name}.hl7").read_bytes()) == expected


def reading(sent):
    """What becomes of a message, as JSON."""
    try:
        return plain(asdict(read(sent)))
    except BadInput as refused:
        return {"faults": [{"pointer": fault.pointer, "code": fault.code} for fault in refused.faults]}


def plain(value):
    """A reading as JSON: what says nothing is left out."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if one not in (None, "", (), False)}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value if isinstance(value, bool | int) else str(value)
