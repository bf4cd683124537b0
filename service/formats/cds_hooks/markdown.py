"""Text from outside, made harmless where it is shown.

Law: whatever was sent is shown as the words that it is. It makes no markup, no HTML and no link, begins no line, and
holds nothing that cannot be seen or that changes the direction in which others are read.
"""

import re
import unicodedata

MAX_TEXT = 300
_MORE = "…"

# Control and format characters (among them all that turn the direction of text), surrogates, and what is not assigned.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# What means something within a line: emphasis, code, links, images, tables, strikethrough, formulas, headings, emoji.
_ACTIVE = re.compile(r"[\\`*_\[\](){}|~!#$^]|[&<>]")
# What means something where a line begins: lists, rules, underlined headings, definitions.
_BEGINS = re.compile(r"(?:([+\-=:])|(\d{1,9})([.)])(?=\s|$))")
# Renderers make links of bare addresses; some look for them when backslashes and entities are gone already.
_ADDRESSES = (
    (re.compile(r"(?<=:)(?=/)"), " "),
    (re.compile(r"(?<=\.)(?=[^\W\d_])"), " "),
    (re.compile(r"@"), " @ "),
)


def plain(text: str, *, longest: int = MAX_TEXT) -> str:
    """One line of text in which everything can be seen, cut off where it is too long."""
    spaced = "".join(" " if one.isspace() else one for one in text)
    seen = "".join(one for one in spaced if unicodedata.category(one) not in _UNSEEN)
    line = " ".join(seen.split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}{_MORE}"


def escaped(text: str, *, longest: int = MAX_TEXT) -> str:
    """The same for GitHub Flavored Markdown, wherever in a line or at its beginning it may come to stand."""
    line = plain(text, longest=longest)
    for address, instead in _ADDRESSES:
        line = address.sub(instead, line)
    line = " ".join(line.split())
    begins = _BEGINS.match(line)
    rest = _ACTIVE.sub(_escape, line[begins.end() :] if begins else line)
    return f"{_first(begins)}{rest}" if begins else rest


def as_code(text: str, *, longest: int = MAX_TEXT) -> str:
    """A name of something as code, in which nothing means anything."""
    return f"`{plain(text.replace('`', ' '), longest=longest)}`"


def _escape(found: re.Match[str]) -> str:
    return _ENTITIES.get(found[0], f"\\{found[0]}")


def _first(begins: re.Match[str]) -> str:
    return f"\\{begins[1]}" if begins[1] else f"{begins[2]}\\{begins[3]}"
