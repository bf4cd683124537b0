"""What says something to whoever reads it, and what only looks long to a machine."""

import pytest

from service.domain.texts import says_something

SAYS = {
    "a letter": "x",
    "a number": "7",
    "a mark of punctuation": "?",
    "a symbol": "+",
    "an emoji with its selector": "\u2764\ufe0f",
    "another script": "患者",
    "a letter with combining marks": "e\u0301\u0323",
    "a letter after much that is invisible": "\u200b" * 500 + "ok",
    "letters from right to left, with their marks of direction": "\u200fשלום\u200f",
    "a letter beyond the first plane": "\U00020000",
}
SAYS_NOTHING = {
    "nothing": "",
    "spaces": " \u00a0\u2003\u3000",
    "ends of lines and tabs": "\n\r\t\u2028\u2029",
    "zero width spaces": "\u200b\u200b",
    "joiners": "\u200c\u200d\u2060",
    "the byte order mark": "\ufeff",
    "soft hyphens": "\u00ad",
    "the fillers of Hangul": "\u3164\u115f\u1160\uffa0",
    "combining marks only": "\u0301\u20dd\u0903",
    "variation selectors": "\ufe0f\ufe0e\U000e0100",
    "vowels of Khmer that are not shown": "\u17b4\u17b5",
    "selectors of Mongolian": "\u180b\u180e\u180f",
    "tags": "\U000e0041\U000e007f",
    "marks of direction": "\u200e\u200f\u202e\u2066\u061c",
    "an empty pattern of Braille": "\u2800",
    "a note head without a shape": "\U0001d159",
    "control characters": "\x00\x07\x1b\x7f\x85",
    "what is no character": "\uffff\U0010ffff",
    "of all of them some": " \u200b\u3164\u0301\ufe0f\u2060 ",
}


@pytest.mark.parametrize("text", SAYS.values(), ids=SAYS)
def test_what_can_be_seen_says_something(text):
    assert says_something(text)


@pytest.mark.parametrize("text", SAYS_NOTHING.values(), ids=SAYS_NOTHING)
def test_what_cannot_be_seen_says_nothing(text):
    assert not says_something(text)
