r"""The bytes of a message once more, with the escapes of its language undone, so that words in it can be looked for.

    JSON: \/ and \u00C4, and %C3 in addresses        HL7 v2: \T\ and \X26\, by the signs that each head declares

Law: nothing is read, so that whatever came can be searched, also what was refused. It takes time in proportion to the
length of the message.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from service.formats.hl7v2 import reader as hl7v2
from service.formats.hl7v2.segments import STANDARD, Separators, separators


def forms(media_type: str, body: bytes) -> Sequence[bytes]:
    """The message as it stands, and with its escapes undone."""
    return [body, _of_hl7(body)] if media_type == hl7v2.MEDIA_TYPE else [body, *_of_json(body)]


# ---------------------------------------------------------------------------------------------------------------- JSON
_JSON = re.compile(rb'((?:\\u[0-9A-Fa-f]{4})+)|\\(["\\/bfnrt])')
_LETTERS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _of_json(body: bytes) -> Sequence[bytes]:
    found = _JSON.sub(_character, body) if b"\\" in body else body
    return [found, unquote_to_bytes(found)] if b"%" in found else [found]


def _character(found: re.Match[bytes]) -> bytes:
    units, letter = found.groups()
    if units is None:
        return _LETTERS.get(letter, letter)
    return bytes.fromhex(units.replace(b"\\u", b"").decode()).decode("utf-16-be", "replace").encode()


# -------------------------------------------------------------------------------------------------------------- HL7 v2
_LINE = re.compile(rb"[\r\n\x0b\x1c]+")
_HEADS = (b"MSH", b"FHS", b"BHS")


def _of_hl7(body: bytes) -> bytes:
    # Of sixteen bits, letters of ASCII have one byte of nothing.
    signs, found = STANDARD, []
    for line in _LINE.split(body.replace(b"\0", b"")):
        if line.startswith(_HEADS):
            signs = separators(line.decode("latin-1")) or STANDARD
        found.append(_undone(line, signs))
    return b"\r".join(found)


def _undone(line: bytes, signs: Separators) -> bytes:
    if not signs.escape or signs.escape.encode() not in line:
        return line
    letters = dict(zip("FSTRE", (signs.field, signs.component, signs.sub, signs.repetition, signs.escape), strict=True))
    meant = {letter.encode(): sign.encode() for letter, sign in letters.items()}

    def text(found: re.Match[bytes]) -> bytes:
        letter, digits, layout = found.groups()
        if digits is None:
            return meant[letter] if letter else b"\n" if layout[1:3] in (b"br", b"sp", b"ce") else b""
        return bytes.fromhex(digits.decode()) if len(digits.replace(b" ", b"")) % 2 == 0 else found[0]

    return _escapes(signs.escape).sub(text, line)


@lru_cache
def _escapes(sign: str) -> re.Pattern[bytes]:
    escape = re.escape(sign.encode())
    return re.compile(escape + rb"(?:([FSTRE])|X([0-9A-Fa-f ]+)|(H|N|\.[a-z]{2}[0-9+-]*))" + escape)
