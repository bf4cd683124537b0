"""What is asked of watching, as JSON: an escalation policy, and how often a feed is expected.

Law: every fault is told at once. What a subscription is, is for others to say.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from marshmallow import Schema, ValidationError
from marshmallow.fields import List, Nested

from service.domain.errors import BadInput, Fault
from service.domain.escalation import ESCALATED, LONGEST, MOST_STEPS, Policy, Step
from service.domain.feeds import LONGEST as LONGEST_PAUSE
from service.domain.rules import Severity
from service.formats.fields import ChoiceField, TextField, WholeField
from service.formats.panel_shape import Strict
from service.formats.shape_faults import AtMost, faults_of
from service.formats.strict_json import parse

MEDIA_TYPE = "application/json"
POLICY_KIND, FEED_KIND = "invalid-escalation", "invalid-feed"


def _about(description: str, example: Any) -> dict[str, Any]:
    return {"description": description, "example": example}


class StepShape(Strict):
    """One step: whom to tell, and when."""

    subscription = TextField(required=True, metadata=_about("Id of a subscription.", "sub_01K…"))
    after_minutes = WholeField(
        1, LONGEST, required=True, metadata=_about("Minutes from when the episode began to wait.", 15)
    )


class PolicyShape(Strict):
    """Whom to tell, one after another, while nobody acknowledges a grave finding."""

    severity = ChoiceField(
        Severity,
        shown=[one.value for one in ESCALATED],
        load_default=Severity.CRITICAL,
        metadata=_about("The least severity that is escalated.", "critical"),
    )
    steps = List(
        Nested(StepShape),
        required=True,
        validate=AtMost(MOST_STEPS),
        metadata={"description": "Each later than the one before. Without any, nothing is escalated."},
    )


class ExpectedShape(Strict):
    """How often a source is expected to send."""

    expected_minutes = WholeField(
        1,
        LONGEST_PAUSE,
        required=True,
        metadata=_about("Without a result for longer, the feed is silent.", 60),
    )


_POLICY, _EXPECTED = PolicyShape(), ExpectedShape()


def read_policy(body: bytes) -> Policy:
    """The policy in a body. Raises ``BadInput`` with every fault."""
    shaped, faults = _load(_POLICY, body)
    found = [one for one in shaped.get("steps", ()) if isinstance(one, dict)]
    faults += _order(found)
    if faults:
        raise BadInput(faults, kind=POLICY_KIND)
    return Policy(severity=shaped["severity"], steps=tuple(Step(**one) for one in shaped["steps"]))


def _order(steps: Sequence[Mapping[str, Any]]) -> Iterator[Fault]:
    times = [one.get("after_minutes") for one in steps]
    for at in range(1, len(times)):
        before, own = times[at - 1], times[at]
        if before is not None and own is not None and own <= before:
            detail, hint = "is not later than the step before", f"accepted here: more than {before}"
            yield Fault(pointer=f"/steps/{at}/after_minutes", code="not-ascending", detail=detail, hint=hint)


def read_expected(body: bytes) -> int:
    """After how many minutes without a result a feed is silent. Raises ``BadInput``."""
    shaped, faults = _load(_EXPECTED, body)
    if faults:
        raise BadInput(faults, kind=FEED_KIND)
    return int(shaped["expected_minutes"])


def _load(shape: Schema, body: bytes) -> tuple[dict[str, Any], list[Fault]]:
    """What has its shape, and the faults of what has not."""
    sent = parse(body)
    try:
        return dict(shape.load(sent)), []
    except ValidationError as error:
        good = error.valid_data if isinstance(error.valid_data, dict) else {}
        return dict(good), faults_of(error, shape)
