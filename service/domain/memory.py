"""What was worked out before, and need not be worked out again for the next result like it.

Law: what is remembered follows from the words under which it is found and from the rule book alone, so that
forgetting changes no answer. It names nobody, and it stays within its bounds.
"""

from collections.abc import Hashable
from decimal import Decimal
from itertools import count
from typing import Any

from service.domain.verdicts import Verdict

# Two generations of so many verdicts: 10 MB when both are full of what laboratories send (600 bytes each), and 22 MB if
# every one of them were a flag (1.3 kB each).
VERDICTS = 8_192
# Room for kinds of people, for the grounds on which their results are judged (4 kB), and for the names of these: 4 MB.
ROOM, GROUND, NAME = 8_192, 8, 1
# Longer texts are nobody's usual way to send; what was said in them is not remembered.
LONGEST = 40

Given = tuple[Decimal | None, Verdict]


class Memory:
    """What one rule book remembers: verdicts by the words of the value, and the grounds on which they were given.

    Verdicts that nobody asked for during a generation are forgotten with it; grounds, all at once when their room is
    taken. Threads may share a memory: the worst that can happen is that something is worked out twice.
    """

    __slots__ = ("_older", "_taken", "grounds", "kinds", "numbers", "verdicts")

    def __init__(self) -> None:
        self._taken, self.numbers = 0, count(1)
        self.kinds: dict[Hashable, Any] = {}
        self.grounds: dict[Hashable, Any] = {}
        self.verdicts: dict[Hashable, Given] = {}
        self._older: dict[Hashable, Given] = {}

    def older(self, words: Hashable) -> Given | None:
        """A verdict of the generation before, which lives on with this one."""
        given = self._older.get(words)
        if given is not None:
            self.keep(words, given)
        return given

    def keep(self, words: Hashable, given: Given) -> None:
        """Remember a verdict."""
        if len(self.verdicts) >= VERDICTS:
            self._older, self.verdicts = self.verdicts, {}
        self.verdicts[words] = given

    def take(self, room: int) -> None:
        """Make sure of room for a kind, a ground or the name of one."""
        self._taken += room
        if self._taken > ROOM:
            self.kinds.clear()
            self.grounds.clear()
            self._taken = room
