"""What the clients sent and what they heard, and the two ways to send: one panel, or many in a message.

Law: what was heard is written down before anything else is sent. Whatever was not taken is sent again some time.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from stress.client import PROBLEM, Answer, Broken, Client
from stress.story import Heard, Statement, Story

_TAKEN = (200, 201)


class Ledger:
    """Everything that all clients sent and heard."""

    def __init__(self, stories: Sequence[Story] = ()) -> None:
        self.stories = list(stories)
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self._lock = threading.Lock()

    @property
    def statements(self) -> list[Statement]:
        """Every statement, of all clients."""
        return [one for story in self.stories for one in story.statements]

    def count(self, what: str, times: int = 1) -> None:
        """Add to a number of the table."""
        with self._lock:
            self.counts[what] += times

    def fault(self, said: str) -> None:
        """Write down something that should not have been."""
        with self._lock:
            self.faults.append(said)

    def took(self, one: Statement, data: Any) -> None:
        """Write down that a statement was taken."""
        one.answers.append(Heard.of(data))
        self.count("duplicates" if data["duplicate"] else "taken")

    def refused(self, one: Statement, status: int) -> None:
        """Write down that a statement was refused."""
        one.unsure += 1
        self.count(f"refused {status}")

    def cut_off(self, some: Sequence[Statement]) -> None:
        """Write down that statements were sent and not answered."""
        for one in some:
            one.unsure += 1
        self.count("cut off", len(some))


def send(client: Client, ledger: Ledger, one: Statement) -> bool:
    """Send one panel; answers whether it was taken."""
    try:
        answer = client.post(one.body)
    except Broken:
        ledger.cut_off([one])
        return False
    for said in _misfits(answer):
        ledger.fault(f"{one.name}: {said}")
    if answer.status not in _TAKEN:
        ledger.refused(one, answer.status)
        return False
    ledger.took(one, answer.data)
    return True


def _misfits(answer: Answer) -> Iterator[str]:
    """What is wrong with an answer to a valid panel: it is taken, or refused for now and said when to come again."""
    if answer.status == 503:
        if answer.media_type != PROBLEM:
            yield f"503 as {answer.media_type}"
        if not answer.headers.get("retry-after", "").isdigit():
            yield "503 without Retry-After"
    elif answer.status not in _TAKEN:
        yield f"refused with {answer.status}"


def send_many(client: Client, ledger: Ledger, some: Sequence[Statement]) -> bool:
    """Send many panels in one message; answers whether all of them were taken."""
    left, complete = dict(enumerate(some, start=1)), False
    try:
        for line in client.lines(b"\n".join(one.body for one in some)):
            if "summary" in line:
                complete = line["summary"]["complete"]
            elif line["line"] in left and line["status"] in _TAKEN:
                ledger.took(left.pop(line["line"]), line)
            else:
                _refused(ledger, line)
    except Broken:
        complete = False
    ledger.cut_off(list(left.values()))
    if complete and left:
        ledger.fault(f"{len(left)} lines were not answered, and the answer is said to be complete")
    return complete


def _refused(ledger: Ledger, line: Any) -> None:
    ledger.count(f"refused {line['status']}")
    if line["status"] != 503:
        ledger.fault(f"a line was refused with {line['status']}")
