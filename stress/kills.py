"""Workers are killed at random points of intake, under load.

Promise: what was answered is there, nothing is there twice, and what was not answered can be sent again.
"""

import random
import time

from stress.audit import audit
from stress.common import PATIENCE, Found, Place, Size
from stress.ledger import Ledger
from stress.load import load, send_again, until
from stress.server import Service, kill, serving

_WORK = 8  # panels that are taken between two kills
_LONGEST = 0.3  # seconds that may pass after them


def trial(kind: str, place: Place, size: Size) -> Found:
    """Kill workers with ``kill -9`` while 8 clients send single panels and 2 many at once."""
    wanted = size.of(5, 200)
    with serving(place, place.address(kind), workers=size.of(2, 4)) as service:
        with load(service) as under_way:
            ledger = under_way.ledger
            killed = _kill_some(service, ledger, wanted)
        faults = [*send_again(service, ledger), *audit(service, ledger)]
    if killed < wanted:
        faults.append(f"only {killed} of {wanted} workers could be killed")
    if not ledger.counts["cut off"]:
        faults.append("no request was cut off: nothing was proved")
    did = f"{killed} workers killed, {ledger.counts['cut off']} panels cut off and sent again"
    return Found(did=did, faults=tuple(faults), counts=ledger.counts)


def _kill_some(service: Service, ledger: Ledger, wanted: int) -> int:
    """Kill workers that hold a connection, at random times between which some work is done; answers how many were."""
    chance, killed = random.Random(wanted), 0
    deadline = time.monotonic() + PATIENCE + wanted * 5
    while killed < wanted and time.monotonic() < deadline:
        _wait_for_work(ledger)
        time.sleep(chance.uniform(0.0, _LONGEST))
        if serving_now := service.serving():
            kill(chance.choice(serving_now))
            killed += 1
    return killed


def _wait_for_work(ledger: Ledger) -> None:
    before = ledger.counts["taken"]
    until(lambda: ledger.counts["taken"] >= before + _WORK)
