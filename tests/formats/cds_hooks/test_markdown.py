"""Text from outside in Markdown: read by a parser that is not ours, it is the words that were sent and nothing else."""

import html
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from service.formats.cds_hooks.markdown import as_code, escaped, plain

PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"

HOSTILE = (
    "# heading", "> quote", "- list", "+ list", "* list", "1. list", "2) list", "=====", "-----", "~~~", "```code```",
    "    indented", "**bold**", "__bold__", "~~gone~~", "`code`", "a | b", "|a|b|\n|-|-|", "<b>x</b>", "<!-- x -->",
    "<script>alert(1)</script>", "&lt;b&gt;", "&#60;b&#62;", "[x](javascript:alert(1))", "![x](http://evil.example/p)",
    "[x]: http://evil.example", "<http://evil.example>", "http://evil.example", "www.evil.example", "evil.example/x",
    "a@evil.example", "line\none\r\ntwo\u2028three\x85four", "tab\tvt\x0bff\x0c", "bell\x07 del\x7f", "\\", "\\*x\\*",
    f"abc{BIDI}def", "zero\u200bwidth\ufeff", "$x$", ":smile:", "^sup^", "[^1]", "{#id}", "\ud800",
)  # fmt: skip

texts = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="\\`*_{}[]()#+-.!|<>~&:=/@$^ \n1a", max_size=40),
    st.lists(st.sampled_from(HOSTILE), max_size=4).map("".join),
)


def shown(page):
    """What somebody sees of a page of HTML."""
    return html.unescape(re.sub(r"<[^>]*>", "", page)).strip()


def without_gaps(text):
    return "".join(text.split())


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("frame", ["{}", "**Why:** {}.", "- {}"])
def test_hostile_text_makes_no_markup(text, frame):
    page = PARSER.render(frame.format(escaped(text)))

    assert set(re.findall(r"<(\w+)", page)) <= {"p", "strong", "ul", "li"}


@given(texts)
def test_what_is_shown_is_what_was_sent(text):
    page = PARSER.render(f"- {escaped(text, longest=10_000)}")

    assert set(re.findall(r"<(\w+)", page)) <= {"ul", "li"}
    assert without_gaps(shown(page)) == without_gaps(plain(text, longest=10_000))


@given(texts)
def test_it_is_one_line_without_anything_unseen(text):
    for made in (plain(text), escaped(text), as_code(text)):
        assert len(made.splitlines()) <= 1
        assert not {unicodedata.category(one) for one in made} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(texts)
def test_a_name_as_code_is_only_code(text):
    page = PARSER.render(f"- {as_code(f'x{text}x')}: y")

    assert set(re.findall(r"<(\w+)", page)) == {"ul", "li", "code"}


@pytest.mark.parametrize(
    "text", ["http://evil.example/x", "HTTPS://EVIL.EXAMPLE", "www.evil.example", "evil.example", "a@b.example", "a@b"]
)
def test_no_bare_address_is_left_for_renderers_that_make_links_of_them(text):
    seen = shown(PARSER.render(escaped(text)))

    assert not re.search(r"://|\w@\w|\w\.[a-zA-Z]", seen)


@pytest.mark.parametrize("text", ["11.9 mg/dL is above 11.5 mg/dL, the laboratory's upper limit", "CTCAE v5.0 grade 2"])
def test_ordinary_words_stay_as_they_are(text):
    assert escaped(text) == text


def test_a_unit_with_a_star_reads_as_it_was_sent():
    assert escaped("<5 10*9/L") == "&lt;5 10\\*9/L"
    assert shown(PARSER.render(escaped("<5 10*9/L"))) == "<5 10*9/L"


@pytest.mark.parametrize(("text", "longest", "cut"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("ab cd", 4, "ab…")])
def test_what_is_too_long_is_cut_off(text, longest, cut):
    assert plain(text, longest=longest) == cut
