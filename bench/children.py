"""A process of its own for one side of a bench, so that no side shares its interpreter with another.

Law: it makes everything ready, says so, and works only when it is told to; what it measures is the work alone.

A side is a function that takes its arguments, makes ready, and gives the function that works. That one answers what
JSON can hold.
"""

import contextlib
import importlib
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, cast

from bench.common import PATIENCE, PYTHON, ROOT


class Child:
    """A side in a process of its own: ``ready`` waits until it is, ``go`` lets it work, ``result`` waits for that."""

    def __init__(self, side: str, *arguments: object) -> None:
        """``side`` is ``module:function``."""
        own = [str(PYTHON), "-m", "bench.children", side]
        self._process = subprocess.Popen(own, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._in = cast("BinaryIO", self._process.stdin)
        self._out = cast("BinaryIO", self._process.stdout)
        self._in.write(pickle.dumps(arguments))
        self._in.flush()

    def ready(self) -> None:
        """Wait until it is ready. Raises ``RuntimeError`` when it ends instead."""
        self._line("ready")

    def go(self) -> None:
        """Let it work."""
        self._in.write(b"go\n")
        self._in.flush()

    def result(self) -> dict[str, Any]:
        """What it answers."""
        answer: dict[str, Any] = json.loads(self._line("result"))
        return answer

    def _line(self, what: str) -> bytes:
        line: bytes = self._out.readline()
        if not line:
            raise RuntimeError(f"a side of the bench ended before its {what}")
        return line

    def end(self) -> None:
        """End it, whatever it does."""
        with contextlib.suppress(BrokenPipeError):
            self._in.close()
        self._out.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def children(side: str, *arguments: Sequence[object]) -> Iterator[list[Child]]:
    """One child of a side for each of some lists of arguments, all of them ready."""
    started = [Child(side, *each) for each in arguments]
    try:
        for child in started:
            child.ready()
        yield started
    finally:
        for child in started:
            child.end()


def together(started: Sequence[Child]) -> list[dict[str, Any]]:
    """Let children work at the same time; answers what each of them does."""
    for child in started:
        child.go()
    return [child.result() for child in started]


def main() -> None:
    """The child: make ready, then work each time a line comes in, until there are no more."""
    module, _, function = sys.argv[1].partition(":")
    arguments = pickle.load(sys.stdin.buffer)  # noqa: S301  written by the parent
    work = getattr(importlib.import_module(module), function)(*arguments)
    print("ready", flush=True)
    for _line in sys.stdin.buffer:
        print(json.dumps(work()), flush=True)


if __name__ == "__main__":
    main()
