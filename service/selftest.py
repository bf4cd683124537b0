"""A running service is tried through its doors, as another system would use it.

    for each door: send a panel ─► read its verdicts ─► send it again ─► take it back ─► what came of each step

Law: everything is synthetic, of a patient made up for this one trial, and is taken back at the end. What is sent is
written by ``formats/writing.py``; what is expected is written down here.
"""

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from service.domain.panels import Code, Panel, Patient, Result, SentRange, Status
from service.domain.people import Sex
from service.formats import csv_rows, native, ndjson, writing
from service.storage.panels import TRIAL

AUTHORITY = "urn:lab-alerts:selftest"
# A calcium that is critical by any limit, a count that is no finding, and a hemoglobin in a unit that there is not.
EXPECTED = {"calcium": "flagged", "platelets": "clear", "hemoglobin": "not_judged"}
WITHDRAWN = dict.fromkeys(EXPECTED, "not_judged")

_TRIALS = ("hl7v2", "mllp")
_SECONDS = 20
_START, _END = b"\x0b", b"\x1c\r"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The service that is tried: its address, a key of the source for trials, and where its MLLP listener is."""

    url: str
    key: str
    mllp: tuple[str, int] | None = None
    cds_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of a door. ``fault`` says what went wrong; ``left_out``, why it was not tried."""

    door: str
    milliseconds: float = 0.0
    fault: str | None = None
    left_out: str | None = None


class _Wrong(Exception):
    """A step did not end as it must; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer over HTTP."""

    status: int
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)


def asked(target: Target, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """The answer to a request; a refusal is an answer, too. Raises ``OSError`` when there is none."""
    sent = {"Authorization": f"Bearer {target.key}", **(headers or {})}
    request = Request(f"{target.url.rstrip('/')}{path}", data=body, headers=sent)  # noqa: S310  the operator names the address
    try:
        with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310  as above
            return Answer(status=answer.status, body=answer.read())
    except HTTPError as refused:
        with refused:
            return Answer(status=refused.code, body=refused.read())


def trials(target: Target, *, now: datetime) -> Iterator[Trial]:
    """Every door, tried one after the other. Raises ``OSError`` when nobody answers."""
    for door, send in _DOORS.items():
        yield _tried(door, partial(_stored, target, door, send, now=now))
    if target.mllp is None:
        yield Trial(door="mllp", left_out="say --mllp HOST:PORT to try it")
    else:
        yield _tried("mllp", partial(_stored, target, "mllp", _over_mllp, now=now))
    yield _tried("cds-hooks", partial(_carded, target, now=now))


def _tried(door: str, steps: Callable[[], str | None]) -> Trial:
    began = time.perf_counter()
    try:
        left_out = steps()
    except _Wrong as wrong:
        return Trial(door=door, fault=str(wrong))
    except (URLError, OSError, ValueError, KeyError) as error:
        return Trial(door=door, fault=f"no usable answer ({type(error).__name__})")
    return Trial(door=door, milliseconds=round((time.perf_counter() - began) * 1000, 1), left_out=left_out)


def _panel(door: str, *, now: datetime) -> Panel:
    name = f"selftest-{door}-{now:%Y%m%d%H%M%S%f}"
    limits = SentRange(low=Decimal("8.6"), high=Decimal("10.3"))
    return Panel(
        patient=Patient(identifier=name, authority=AUTHORITY, sex=Sex.FEMALE, born=date(1968, 3, 14)),
        collected_at=now.replace(microsecond=0),
        accession=name,
        results=(
            _result(name, "17861-6", "13.6", unit="mg/dL", limits=limits),
            _result(name, "777-3", "200", unit="10*3/uL"),
            _result(name, "718-7", "13.1", unit="furlong"),
        ),
    )


def _result(name: str, code: str, value: str, *, unit: str, limits: SentRange | None = None) -> Result:
    return Result(
        pointer="",
        sender_id=f"{name}-{code}",
        code=Code(code=code),
        text=value,
        number=Decimal(value),
        unit=unit,
        range=limits,
    )


_Send = Callable[[Target, Panel, str], None]


def _stored(target: Target, door: str, send: _Send, *, now: datetime) -> None:
    """The three steps of a door that keeps what it is sent."""
    panel = _panel(door, now=now)
    # Patients of messages that call themselves a trial (MSH-11: T) are others than those whom they name.
    authority = f"{TRIAL}{AUTHORITY}" if door in _TRIALS else AUTHORITY
    steps = ((panel, EXPECTED, "1"), (panel, EXPECTED, "1"), (_taken_back(panel), WITHDRAWN, "2"))
    for sent, expected, step in steps:
        send(target, sent, f"{panel.patient.identifier}-{step}")
        found = _verdicts(target, panel.patient.identifier, authority=authority)
        if found != expected:
            raise _Wrong(f"step {step}: verdicts {_listed(found)} instead of {_listed(expected)}")


def _taken_back(panel: Panel) -> Panel:
    gone = (replace(one, status=Status.ENTERED_IN_ERROR) for one in panel.results)
    return replace(panel, results=tuple(gone))


def _verdicts(target: Target, patient: str, *, authority: str) -> dict[str, str]:
    query = urlencode({"authority": authority})
    answer = asked(target, f"/v1/patients/{quote(patient)}/timeline?{query}")
    if answer.status != 200:
        raise _Wrong(f"the timeline is answered with {answer.status}")
    return {one["analyte"]: one["outcome"] for one in answer.data["items"]}


def _listed(found: Mapping[str, str]) -> str:
    return ", ".join(f"{analyte} {outcome}" for analyte, outcome in sorted(found.items())) or "none"


def _posted(path: str, media_type: str, write: Callable[[Panel, str], bytes]) -> _Send:
    def send(target: Target, panel: Panel, name: str) -> None:
        answer = asked(target, path, body=write(panel, name), headers={"Content-Type": media_type})
        if answer.status not in (200, 201):
            raise _Wrong(f"answered with {answer.status}")

    return send


def _hl7(panel: Panel, name: str) -> bytes:
    return writing.hl7v2(panel, control_id=name, processing="T")


_DOORS: Mapping[str, _Send] = {
    "json": _posted("/v1/panels", native.MEDIA_TYPE, lambda panel, _: writing.native(panel)),
    "ndjson": _posted("/v1/panels", ndjson.MEDIA_TYPE, lambda panel, _: writing.ndjson(panel)),
    "csv": _posted("/v1/panels", csv_rows.MEDIA_TYPE, lambda panel, _: writing.csv(panel)),
    "fhir": _posted("/fhir/R4", "application/fhir+json", lambda panel, _: writing.fhir(panel)),
    "hl7v2": _posted("/hl7v2", "application/hl7-v2", _hl7),
}


def _over_mllp(target: Target, panel: Panel, name: str) -> None:
    if target.mllp is None:
        raise ValueError("no address of the listener")
    with socket.create_connection(target.mllp, timeout=_SECONDS) as connection:
        connection.sendall(_START + _hl7(panel, name) + _END)
        answer = b""
        while not answer.endswith(_END):
            received = connection.recv(65_536)
            if not received:
                raise _Wrong("the listener closed the connection without an acknowledgment")
            answer += received
    if b"\rMSA|AA|" not in answer and b"\rMSA|CA|" not in answer:
        raise _Wrong("the message was not accepted")


_CARDS = "/cds-services/lab-flags"


def _carded(target: Target, *, now: datetime) -> str | None:
    """Cards from what is prefetched; nothing of it is kept."""
    caller = replace(target, key=target.cds_token or target.key)
    # A token counts once: it is spent on the cards, and not on asking which services there are.
    if target.cds_token is None:
        offered = asked(caller, "/cds-services")
        if offered.status in (401, 403, 404, 503):
            return f"answered with {offered.status}: say --cds-token with a token for {_CARDS}"
        if _CARDS.rpartition("/")[2] not in {one["id"] for one in offered.data["services"]}:
            raise _Wrong("the service that is tried is not offered")
    body = writing.cds_hooks(_panel("cds-hooks", now=now), instance="d1577c69-dfbe-44ad-ba6d-3e05e953b2ea")
    answer = asked(caller, _CARDS, body=body, headers={"Content-Type": "application/json"})
    if answer.status != 200:
        raise _Wrong(f"answered with {answer.status}")
    indicators = {card["indicator"] for card in answer.data["cards"]}
    if indicators != {"critical", "info"}:
        raise _Wrong(f"cards {', '.join(sorted(indicators)) or 'none'} instead of critical, info")
    return None


def clock() -> datetime:
    """Now; each run of the trials is of patients of its own."""
    return datetime.now(UTC)
