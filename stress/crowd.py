"""Many clients write about one patient at once, while others read.

Promise: nothing is lost and nothing doubled, at most one episode of a finding is open in every answer, what was
answered can be read at once, and pages that are turned while others write show nothing twice.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator

from stress.audit import audit
from stress.client import Answer, Broken, Client
from stress.common import Found, Place, Size
from stress.ledger import Ledger, send
from stress.load import load, running, send_again, until
from stress.server import Service, serving
from stress.story import Statement, Story

_WRITERS = 32
_PATIENT = "crowded"
_PAUSE = 0.05  # seconds


def trial(kind: str, place: Place, size: Size) -> Found:
    """32 writers and 4 readers on one patient."""
    wanted = size.of({"taken": 40, "pages read": 4, "read back": 1}, {"taken": 600, "pages read": 100, "read back": 5})
    with serving(place, place.address(kind)) as service:
        with load(service, singles=_WRITERS, bulks=0, patients=(_PATIENT,)) as under_way:
            ledger = under_way.ledger
            reader = _Reader(service, ledger)
            with running([reader.turn_pages, reader.look_at_episodes, reader.look_at_timeline, reader.read_back]):
                done = until(lambda: all(ledger.counts[name] >= least for name, least in wanted.items()), patience=900)
        faults = [*send_again(service, ledger), *audit(service, ledger)]
    if not done:
        faults.append("too little was written and read")
    return Found(did=f"{_WRITERS} writers and 4 readers on one patient", faults=tuple(faults), counts=ledger.counts)


class _Reader:
    """Reads the patient in several ways until it is told to stop."""

    def __init__(self, service: Service, ledger: Ledger) -> None:
        self._service, self._ledger = service, ledger

    def _client(self) -> Client:
        return Client(self._service.port, self._service.key)

    def turn_pages(self, stop: threading.Event) -> None:
        """Turn all pages of the flag history; no flag stands on two of them."""
        with self._client() as client:
            while not stop.is_set():
                seen: Counter[str] = Counter()
                for page in self._pages(client, f"/v1/patients/{_PATIENT}/flags?limit=50", stop):
                    seen.update(one["id"] for one in page.data["items"])
                self._found("a flag stands on two pages" for times in seen.values() if times > 1)

    def look_at_episodes(self, stop: threading.Event) -> None:
        """At most one episode of a finding is open."""
        with self._client() as client:
            while not stop.is_set():
                for page in self._pages(client, f"/v1/patients/{_PATIENT}/episodes?state=open&limit=200", stop):
                    open_ = Counter(one["finding"] for one in page.data["items"])
                    self._found(f"two open episodes of {finding}" for finding, times in open_.items() if times > 1)

    def look_at_timeline(self, stop: threading.Event) -> None:
        """Every result of the newest page is there once, with an outcome."""
        with self._client() as client:
            while not stop.is_set():
                for page in self._pages(client, f"/v1/patients/{_PATIENT}/timeline?limit=200", stop, most=1):
                    shown = Counter(one["result"] for one in page.data["items"])
                    self._found("a result stands in the timeline twice" for times in shown.values() if times > 1)
                    self._found("a result has no outcome" for one in page.data["items"] if not one.get("outcome"))

    def read_back(self, stop: threading.Event) -> None:
        """Send a panel, and read it and its flags at once."""
        story = Story(99, patients=(_PATIENT,))
        self._ledger.stories.append(story)
        with self._client() as client:
            while not stop.is_set():
                one = story.next()
                if send(client, self._ledger, one):
                    self._look_for(client, one)

    def _look_for(self, client: Client, one: Statement) -> None:
        heard = one.answers[-1]
        for path in (f"/v1/panels/{heard.panel}", *(f"/v1/flags/{flag}" for flag in heard.flags)):
            shown = self._asked(client, path)
            if shown is not None and shown.status != 200:
                self._found([f"what was answered is read with {shown.status}"])
        self._ledger.count("read back")

    def _pages(self, client: Client, path: str | None, stop: threading.Event, *, most: int = 1_000) -> Iterator[Answer]:
        while path and most and not stop.is_set():
            answer = self._asked(client, path)
            if answer is None or answer.status == 404:  # nobody has written about the patient yet
                stop.wait(_PAUSE)
                return
            if answer.status != 200:
                self._found([f"a reader is answered with {answer.status}"])
                return
            self._ledger.count("pages read")
            yield answer
            path, most = answer.data["next"], most - 1

    def _asked(self, client: Client, path: str) -> Answer | None:
        try:
            return client.get(path)
        except Broken:
            self._found(["the answer to a reader broke off"])
            return None

    def _found(self, faults: Iterable[str]) -> None:
        for one in faults:
            self._ledger.fault(one)
