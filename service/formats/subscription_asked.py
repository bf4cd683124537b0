"""What is asked of a subscription, as JSON: a new one, a change, a rotation, a replay.

Law: every fault is told at once, those of shape together with those of meaning. No fault repeats an endpoint or a
credential.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from unicodedata import category

from marshmallow import Schema, ValidationError
from marshmallow.fields import List, Nested

from service.domain.errors import BadInput, Fault
from service.domain.rules import Finding, Severity
from service.domain.subscriptions import ALL_TYPES, FORMATS, Channel, Filter, Format, Payload, Subscription
from service.formats.fields import ChoiceField, InstantField, SwitchField, TextField, WholeField
from service.formats.panel_shape import Strict
from service.formats.shape_faults import AtMost, faults_of
from service.formats.strict_json import parse

MEDIA_TYPE = "application/json"
KIND = "invalid-subscription"
MOST = 100
LONGEST_NAME, LONGEST_ENDPOINT = 200, 2_000
MASKED = "…"
HOURS, MOST_HOURS = 24, 168
_MOST_AGE = 87_600  # ten years, in hours
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, formats, halves of letters, ends of lines

# Is this an endpoint that may be subscribed? What speaks against it, in words that do not repeat it.
Check = Callable[[Channel, str], Sequence[str]]


def _about(description: str, example: Any) -> dict[str, Any]:
    return {"description": description, "example": example}


class AskedFilterShape(Strict):
    """Which events are wanted. A list that is left out or empty wants all; of types, the usual ones."""

    types = List(ChoiceField(str, shown=list(ALL_TYPES)), validate=AtMost(MOST))
    findings = List(ChoiceField(Finding), validate=AtMost(MOST))
    severities = List(ChoiceField(Severity), validate=AtMost(MOST))
    sources = List(TextField(), validate=AtMost(MOST))
    collected_within_hours = WholeField(
        1,
        _MOST_AGE,
        allow_none=True,
        metadata=_about("Only flags of specimens taken so many hours before, or later.", 48),
    )


def _name(**options: Any) -> TextField:
    return TextField(longest=LONGEST_NAME, metadata=_about("What you call it; one of each name.", "ward 7"), **options)


def _endpoint(**options: Any) -> TextField:
    about = _about("An https address, or mailto: and a mail address.", "https://alerts.hospital.example/hook")
    return TextField(longest=LONGEST_ENDPOINT, metadata=about, **options)


def _credential() -> TextField:
    about = _about("What the receiver of a pager asks for, such as a routing key. It is not shown again.", "R0UT1NG")
    return TextField(allow_none=True, metadata=about)


class NewSubscriptionShape(Strict):
    """A new subscription."""

    name = _name(required=True)
    channel = ChoiceField(Channel, load_default=Channel.WEBHOOK)
    endpoint = _endpoint(required=True)
    format = ChoiceField(Format, metadata=_about("One of its channel; the first of them if left out.", "native"))
    payload = ChoiceField(Payload, load_default=Payload.THIN)
    filter = Nested(AskedFilterShape)
    credential = _credential()


class SubscriptionChangeShape(Strict):
    """What is to be changed; what is left out stays. The filter is replaced as a whole."""

    name = _name()
    endpoint = _endpoint()
    format = ChoiceField(Format)
    payload = ChoiceField(Payload)
    filter = Nested(AskedFilterShape)
    credential = _credential()


class RotationShape(Strict):
    """How long the secret before stays valid."""

    hours = WholeField(
        0,
        MOST_HOURS,
        load_default=HOURS,
        metadata=_about("Hours for which both sign; 0 ends the old one at once.", HOURS),
    )


class FailedSinceShape(Strict):
    """Which failed deliveries are to be sent once more."""

    failed_since = InstantField(
        required=True, metadata=_about("Those given up at this time or later.", "2026-11-20T08:00:00Z")
    )
    dry_run = SwitchField(load_default=False, metadata=_about("Only count them.", False))


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """A subscription that is asked for."""

    name: str
    channel: Channel
    endpoint: str = field(repr=False)
    format: Format
    payload: Payload
    filter: Filter
    credential: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """A replay that is asked for."""

    failed_since: datetime
    dry_run: bool


def read_new(body: bytes, check: Check) -> New:
    """The subscription in a body. Raises ``BadInput`` with every fault."""
    shaped, faults = _load(_NEW, body)
    channel = shaped.get("channel")
    if isinstance(channel, Channel):
        faults += _amiss(shaped, channel, check)
    if faults:
        raise BadInput(faults, kind=KIND)
    return New(
        name=shaped["name"],
        channel=shaped["channel"],
        endpoint=shaped["endpoint"],
        format=shaped.get("format", FORMATS[shaped["channel"]][0]),
        payload=shaped["payload"],
        filter=_filter(shaped.get("filter", {})),
        credential=shaped.get("credential"),
    )


def read_change(body: bytes, held: Subscription, check: Check) -> Mapping[str, Any]:
    """What is to be changed of a subscription, by field. Raises ``BadInput`` with every fault."""
    shaped, faults = _load(_CHANGE, body)
    kept = {"format": held.format, "payload": held.payload, "credential": held.credential}
    faults += _amiss({**kept, **shaped}, held.channel, check)
    if faults:
        raise BadInput(faults, kind=KIND)
    return shaped | ({"filter": _filter(shaped["filter"])} if "filter" in shaped else {})


def read_rotation(body: bytes) -> int:
    """For how many hours the secret before stays valid. Raises ``BadInput``."""
    shaped, faults = _load(_ROTATION, body or b"{}")
    if faults:
        raise BadInput(faults, kind=KIND)
    return int(shaped["hours"])


def read_replay(body: bytes) -> Again:
    """The replay in a body. Raises ``BadInput``."""
    shaped, faults = _load(_REPLAY, body)
    if faults:
        raise BadInput(faults, kind=KIND)
    return Again(**shaped)


_NEW, _CHANGE = NewSubscriptionShape(), SubscriptionChangeShape()
_ROTATION, _REPLAY = RotationShape(), FailedSinceShape()


def _load(shape: Schema, body: bytes) -> tuple[dict[str, Any], list[Fault]]:
    """What has its shape, and the faults of what has not."""
    sent = parse(body)
    try:
        return dict(shape.load(sent)), []
    except ValidationError as error:
        good = error.valid_data if isinstance(error.valid_data, dict) else {}
        return dict(good), faults_of(error, shape)


def _filter(shaped: Mapping[str, Any]) -> Filter:
    lists = {
        name: tuple(dict.fromkeys(map(str, shaped.get(name, ()))))
        for name in ("types", "findings", "severities", "sources")
    }
    return Filter(**lists, collected_within_hours=shaped.get("collected_within_hours"))


def _amiss(shaped: Mapping[str, Any], channel: Channel, check: Check) -> Iterator[Fault]:
    """What the parts of a subscription mean together."""
    yield from _of_name(shaped.get("name", ""))
    yield from _of_endpoint(shaped.get("endpoint"), channel, check)
    wanted = shaped.get("format", FORMATS[channel][0])
    if wanted not in FORMATS[channel]:
        hint = f"accepted: {', '.join(FORMATS[channel])}"
        yield Fault(pointer="/format", code="not-of-the-channel", detail=f"is no format of {channel}", hint=hint)
    if shaped.get("payload") is Payload.FULL and channel is not Channel.WEBHOOK:
        detail = f"what goes out by {channel} names no value and no patient"
        yield Fault(pointer="/payload", code="not-of-the-channel", detail=detail, hint="accepted: thin")
    yield from _of_credential(shaped.get("credential"), channel, wanted)


def _of_name(name: str) -> Iterator[Fault]:
    if any(category(letter) in _UNSEEN for letter in name):
        detail = "has characters that are not seen, such as a new line or one that turns the direction of writing"
        yield Fault(pointer="/name", code="text-unusable", detail=detail)


def _of_endpoint(endpoint: Any, channel: Channel, check: Check) -> Iterator[Fault]:
    if endpoint is None:
        return
    if MASKED in endpoint:
        detail, hint = "is the address as it is shown, without its query", "leave it out to keep it"
        yield Fault(pointer="/endpoint", code="masked", detail=detail, hint=hint)
        return
    for detail in check(channel, endpoint):
        yield Fault(pointer="/endpoint", code="endpoint-refused", detail=detail)


def _of_credential(credential: Any, channel: Channel, wanted: Format) -> Iterator[Fault]:
    if credential is None:
        if wanted is Format.PAGERDUTY:
            detail = "is required: the routing key of the service"
            yield Fault(pointer="/credential", code="required", detail=detail)
    elif channel is not Channel.PAGER:
        detail = f"what goes out by {channel} carries none"
        yield Fault(pointer="/credential", code="not-of-the-channel", detail=detail)
    elif not (credential.isascii() and credential.isprintable()):
        yield Fault(pointer="/credential", code="text-unusable", detail="must be printable ASCII in one line")
