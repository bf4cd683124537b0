"""Whether a text says something to whoever reads it.

Law: a text says something when something of it can be seen. Spaces, marks that need a letter to stand on, and what is
invisible by design (Unicode's default ignorable characters) say nothing, however many there are.
"""

import unicodedata

# Letters and symbols by their category that are blank all the same: the fillers of Hangul, the empty pattern of
# Braille, the note head without a shape.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\U0001d159")


def says_something(text: str) -> bool:
    """Is there a letter, a number, a punctuation mark or a symbol in a text?"""
    # The first character of nearly every text is a plain one, at the price of one comparison.
    return "!" <= text[:1] <= "~" or any(_is_seen(one) for one in text)


def _is_seen(one: str) -> bool:
    return unicodedata.category(one)[0] in "LNPS" and one not in _BLANK
