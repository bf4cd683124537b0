"""The head of a message, MSH: who sends what, in which words, and which acknowledgments are wanted.

Law: whatever came, there is a head from which an answer can be made; of what it does not say, nothing is guessed.
"""

import re
from dataclasses import dataclass, field

from service.domain.errors import Fault
from service.formats.hl7v2.segments import STANDARD, Segment, Separators, separators, taken_apart

# What brings results: ORU and OUL, by their events (HL7 v2.8, chapter 7).
EVENTS = {"ORU": ("R01", "R30", "R31", "R32"), "OUL": ("R22", "R23", "R24")}
VERSIONS = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2")
TRIALS = frozenset({"T", "D"})

_BOM = b"\xef\xbb\xbf"
# HL7 table 0211, with the spellings that are sent for it.
_ISO_8859 = re.compile(r"(?:ISO[ -]?)?8859[/-](1[0-6]|[1-9])", re.IGNORECASE)
_UTF_8 = re.compile(r"(?:UNICODE )?UTF-?8", re.IGNORECASE)
_ASCII = re.compile(r"(?:US-)?ASCII|ISO IR6", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """MSH, with the text of the whole message once its bytes could be read.

    ``faults``: why the message cannot be read any further. Without ``msh`` there is no head that can be read at all.
    """

    msh: Segment | None = field(default=None, repr=False)
    text: str = field(default="", repr=False)
    codec: str = "utf-8"
    faults: tuple[Fault, ...] = ()

    @property
    def signs(self) -> Separators:
        return self.msh.signs if self.msh else STANDARD

    def raw(self, number: int) -> str:
        """A field as it stands; empty where there is no head."""
        return self.msh.raw(number) if self.msh else ""

    def of(self, number: int, component: int = 1) -> str:
        """The text of a component."""
        return self.msh.text(number, component) if self.msh else ""

    @property
    def control_id(self) -> str:
        return self.of(10)

    @property
    def event(self) -> str:
        return self.of(9, 2)

    @property
    def trial(self) -> bool:
        """Is it for training or debugging (MSH-11), so that nobody is to be told?"""
        return self.of(11) in TRIALS

    @property
    def sender(self) -> str:
        """Application and facility, beside which the sender's own ids mean something."""
        return f"{self.msh.joined(3)}|{self.msh.joined(4)}" if self.msh else "|"


def head_of(sent: bytes, *, charset: str | None = None) -> Head:
    """The head of a message. ``charset`` is what the transport says of the bytes; MSH-18 outranks it."""
    sent = sent.removeprefix(_BOM).lstrip(b"\r\n")
    line = re.split(rb"[\r\n]", sent, maxsplit=1)[0].decode("latin-1")
    signs = separators(line) if line.startswith("MSH") else None
    if signs is None:
        detail = "the message does not begin with an MSH segment that declares its separators"
        return Head(faults=(Fault(pointer="MSH^1", code="segment-unreadable", detail=detail),))
    named = line.split(signs.field)
    declared = named[17].split(signs.repetition or "\0")[0].strip() if len(named) > 17 else ""
    return _decoded(sent, line, signs=signs, name=declared or charset or "")


def _decoded(sent: bytes, line: str, *, signs: Separators, name: str) -> Head:
    codec = codec_of(name)
    why, code, text = "names a character set that is not read here", "not-a-choice", None
    if codec is not None:
        why, code = f"the bytes are not {name or 'UTF-8'}", "type"
        text = _text(sent, codec)
    if text is None:
        (msh, *_), _ = taken_apart(line, signs, "latin-1")
        detail = f"{why}; read are UTF-8, ASCII and 8859/1 to 8859/16"
        return Head(msh=msh, codec="latin-1", faults=(Fault(pointer="MSH^1^18^1", code=code, detail=detail),))
    (msh, *_), _ = taken_apart(re.split(r"[\r\n]", text, maxsplit=1)[0], signs, codec or "utf-8")
    return Head(msh=msh, text=text, codec=codec or "utf-8")


def _text(sent: bytes, codec: str) -> str | None:
    try:
        return sent.decode(codec)
    except UnicodeDecodeError:
        return None


def codec_of(name: str) -> str | None:
    """Python's name of a character set; UTF-8 where none is named, None where it is not read."""
    if not name or _UTF_8.fullmatch(name):
        return "utf-8"
    if _ASCII.fullmatch(name):
        return "ascii"
    found = _ISO_8859.fullmatch(name)
    return f"iso8859-{found[1]}" if found and found[1] != "12" else None


def unsupported(head: Head) -> tuple[Fault, ...]:
    """Why a message with this head is not for us: its type, its purpose or its version."""
    return tuple(
        Fault(pointer=place, code=code, detail=detail)
        for place, code, detail in (_type(head), _purpose(head), _version(head))
        if code
    )


def _type(head: Head) -> tuple[str, str, str]:
    kind, event = head.of(9), head.event
    known = ", ".join(f"{name}^{one}" for name, events in EVENTS.items() for one in events)
    if kind not in EVENTS:
        return "MSH^1^9^1^1", "message-type", f"this type of message brings no results; read are {known}"
    return "MSH^1^9^1^2", "" if event in EVENTS[kind] else "event", f"this event is not read; read are {known}"


def _purpose(head: Head) -> tuple[str, str, str]:
    known = head.of(11) in TRIALS | {"P"}
    return "MSH^1^11^1", "" if known else "processing-id", "is none of P, T and D"


def _version(head: Head) -> tuple[str, str, str]:
    known = head.of(12) in VERSIONS
    return "MSH^1^12^1", "" if known else "version", "this version is not read; read are 2.3 to 2.8"
