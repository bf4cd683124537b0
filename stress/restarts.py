"""PostgreSQL goes away in the middle of the work and comes back.

Promise: while it is away every request is answered with 503 and Retry-After, afterwards all is well by itself, and
nothing that was answered is lost.
"""

import time

from stress.audit import audit
from stress.common import Found, Place, Size
from stress.load import Load, load, send_again, until
from stress.server import Service, serving

_AWAY = 1.0  # seconds
_REFUSED = "refused 503"


def trial(place: Place, size: Size) -> Found:
    """Stop PostgreSQL under load, by turns as a crash does and as an operator does, and start it again."""
    rounds = size.of(1, 20)
    with serving(place, place.address("postgresql"), workers=size.of(1, 2), database_timeout_seconds=5) as service:
        faults: list[str] = []
        with load(service) as under_way:
            for number in range(rounds):
                faults += _one_round(place, service, under_way, crash=number % 2 == 0)
        ledger = under_way.ledger
        faults += [*send_again(service, ledger), *audit(service, ledger)]
    did = f"PostgreSQL stopped and started {rounds} times, {ledger.counts[_REFUSED]} requests refused with 503"
    return Found(did=did, faults=tuple(faults), counts=ledger.counts)


def _one_round(place: Place, service: Service, under_way: Load, *, crash: bool) -> list[str]:
    faults = []
    if not under_way.wait_until_all_were_taken():
        return ["not every client was served before PostgreSQL went away"]
    before = under_way.ledger.counts[_REFUSED]
    (place.postgres.break_off if crash else place.postgres.break_connections)()
    try:
        time.sleep(_AWAY)
        if not until(lambda: under_way.ledger.counts[_REFUSED] > before):
            faults.append("nothing was refused with 503 while PostgreSQL was away")
        if service.ready():
            faults.append("the service says that it is ready while PostgreSQL is away")
    finally:
        place.postgres.start()
    if not under_way.wait_until_all_were_taken():
        faults.append("not every client was served after PostgreSQL came back")
    return faults
