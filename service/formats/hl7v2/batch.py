"""Several messages in one body: with the segments of a file and a batch around them (FHS, BHS, BTS, FTS), or without.

Law: each message is taken in and answered by itself. Of a batch that breaks off, or does not hold as many messages as
it says, nothing is taken in: nobody knows what is missing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from service.domain.errors import Fault

_START = re.compile(rb"(?:^|(?<=[\r\n]))(?=(?:MSH|FHS|BHS|BTS|FTS)(?![A-Za-z0-9 ]))")
_ENVELOPE = ("FHS", "BHS", "BTS", "FTS")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The messages of a body in their order. ``envelope``: the lines around them, as they came, by name."""

    messages: tuple[bytes, ...] = field(repr=False)
    envelope: tuple[tuple[str, str], ...] = ()
    faults: tuple[Fault, ...] = ()


def batch(sent: bytes) -> Batch:
    """The messages of a body; one that begins with none of the known segments is one message, which is unreadable."""
    pieces = [piece for piece in _START.split(sent.removeprefix(_BOM)) if piece.strip()]
    messages: list[bytes] = []
    envelope: list[tuple[str, str]] = []
    stray = False
    for piece in pieces or [sent]:
        name = piece[:3].decode("latin-1")
        if name in _ENVELOPE:
            line, *rest = re.split(rb"[\r\n]", piece, maxsplit=1)
            envelope.append((name, line.decode("latin-1")))
            stray = stray or any(map(bytes.strip, rest))
        else:
            messages.append(piece)
    faults = [_STRAY] if stray else _faults(envelope, len(messages))
    return Batch(messages=tuple(messages), envelope=tuple(envelope), faults=tuple(faults))


_STRAY = Fault(
    pointer="MSH^1",
    code="sequence",
    detail="segments stand between the messages of a batch, so that they belong to none: an MSH may be missing",
)


def _faults(envelope: Sequence[tuple[str, str]], count: int) -> list[Fault]:
    names = [name for name, _ in envelope]
    faults = [
        Fault(pointer=f"{end}^1", code="sequence", detail=f"{begin} and {end} do not pair: the body may be cut off")
        for begin, end in (("FHS", "FTS"), ("BHS", "BTS"))
        if names.count(begin) != names.count(end)
    ]
    said = [_count(line) for name, line in envelope if name == "BTS"]
    if not faults and said and None not in said and sum(filter(None, said)) != count:
        detail = "BTS-1 counts another number of messages than there are: the body may be cut off"
        faults.append(Fault(pointer="BTS^1^1^1", code="count", detail=detail))
    return faults


def _count(line: str) -> int | None:
    """How many messages a batch says that it holds; None when it does not say."""
    said = [*line.split(_sign(line)), ""][1]
    return int(said) if re.fullmatch(r"\d{1,9}", said, re.ASCII) else None


def _sign(line: str) -> str:
    return line[3:4] or "|"


def together(answers: Sequence[bytes], of: Batch) -> bytes:
    """The answers to the messages of a body; those of a batch are a batch again, whose head is that of the request."""
    names = {name for name, _ in of.envelope}
    heads = [_swapped(line) for name, line in of.envelope if name in ("FHS", "BHS")][:2]
    sign = _sign(heads[0]) if heads else ""
    ends = [f"BTS{sign}{len(answers)}"] if "BHS" in names else []
    ends += [f"FTS{sign}1"] if "FHS" in names else []
    before, after = ("".join(f"{line}\r" for line in lines).encode("latin-1") for lines in (heads, ends))
    return b"".join((before, *answers, after))


def _swapped(line: str) -> str:
    """A head of a file or a batch that goes back: its receiver sends it to its sender."""
    sign = _sign(line)
    fields = (line.split(sign) + [""] * 6)[:6]
    return sign.join([*fields[:2], *fields[4:6], *fields[2:4]])
