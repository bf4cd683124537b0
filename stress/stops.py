"""The service is asked to stop under load, as ``docker stop`` and a rolling update do.

Promise: each request is answered whole, or nothing of it is kept; it ends by itself with exit status 0, as soon as that
is done: somebody who is connected and sends nothing does not make it wait out its grace.
"""

import socket
import time
from collections import Counter
from collections.abc import Iterator

from stress.audit import Kept, audit
from stress.common import Found, Place, Size
from stress.ledger import Ledger
from stress.load import load, send_again
from stress.server import Service, serving

_GRACE = 30  # seconds


def trial(kind: str, place: Place, size: Size) -> Found:
    """Ask it to stop with 8 clients that send single panels and 2 that send many at once, again and again."""
    rounds, counts, faults = size.of(1, 15), Counter[str](), []
    took = []
    for _ in range(rounds):
        with serving(place, place.address(kind), graceful_seconds=_GRACE, workers=size.of(1, 2)) as service:
            ledger, seconds = _stopped(service)
            faults += [*_nothing_half(service, ledger)]
            service.start()
            faults += [*send_again(service, ledger), *audit(service, ledger)]
            took.append(seconds)
            counts += ledger.counts
    return Found(did=f"stopped {rounds} times; the slowest took {max(took):.1f} s", faults=tuple(faults), counts=counts)


def _stopped(service: Service) -> tuple[Ledger, float]:
    """Stop it under load; answers what the clients heard, and how many seconds it took."""
    with load(service) as under_way, socket.create_connection(("127.0.0.1", service.port)):
        ledger = under_way.ledger
        if not under_way.wait_until_all_were_taken():
            ledger.fault("not every client was served")
        begun = time.monotonic()
        service.ask_to_stop()
        if status := service.wait():
            ledger.fault(f"it ended with exit status {status}")
        took = time.monotonic() - begun
    if took >= _GRACE:
        ledger.fault("it waited out its grace")
    return ledger, took


def _nothing_half(service: Service, ledger: Ledger) -> Iterator[str]:
    """Is exactly that kept which was answered?"""
    kept = len(Kept.of(service.address).panels)
    answered = len({answer.panel for one in ledger.statements for answer in one.answers})
    ledger.count("refused at the door", sum(not one.answers for one in ledger.statements))
    if kept != answered:
        yield f"{answered} panels were answered, but {kept} are kept"
    if "refused 503" in ledger.counts:
        yield "a request was refused with 503 while it stopped"
