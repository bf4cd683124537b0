"""JSON as RFC 8259 has it: nothing that two readers could understand differently is read at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import BadInput
from service.formats import strict_json
from service.formats.strict_json import MAX_DEPTH, MAX_FAULTS, Number, parse


def refusal(body):
    with pytest.raises(BadInput) as refused:
        parse(body)
    assert refused.value.kind == "invalid-json"
    return [(fault.pointer, fault.code) for fault in refused.value.faults]


BROKEN = [
    (b"", "json-invalid", "line 1, column 1"),
    (b"   \n  ", "json-invalid", "line 2, column 3"),
    (b"{", "json-invalid", "line 1, column 2"),
    (b'{"a": 1 "b"}', "json-invalid", "line 1, column 9"),
    (b'{"a" 1}', "json-invalid", "line 1, column 6"),
    (b"{'a': 1}", "json-invalid", "line 1, column 2"),
    (b"[1, 2", "json-invalid", "line 1, column 6"),
    (b'{"a": 1} {"b": 2}', "json-invalid", "line 1, column 10"),
    (b'{\n "a": tru\n}', "json-invalid", "line 2, column 7"),
    (b"// a comment\n1", "json-invalid", "line 1, column 1"),
    (b'"a\nb"', "json-invalid", "line 1, column 3"),
    (b'"\\x41"', "json-invalid", "line 1, column 2"),
    (b"01", "json-invalid", "line 1, column 2"),
    (b"+1", "json-invalid", "line 1, column 1"),
    (b".5", "json-invalid", "line 1, column 1"),
    (b"0x10", "json-invalid", "line 1, column 2"),
    (b"NaN", "json-invalid", "line 1, column 1"),
    (b'{"a":\n  Infinity}', "json-invalid", "line 2, column 3"),
    (b"[1, -Infinity]", "json-invalid", "line 1, column 5"),
    (b'["NaN", "\\"", NaN]', "json-invalid", "line 1, column 15"),
    (b'{"a": "\xff"}', "json-invalid", "line 1, column 8"),
    (b'\n\n"\xc3\xa9\xed\xa0\x80"', "json-invalid", "line 3, column 3"),
    (b"\xff\xfe{\x00}\x00", "json-invalid", "line 1, column 1"),
    (b"\x00", "json-invalid", "line 1, column 1"),
    (b"\xef\xbb\xbf\xef\xbb\xbf{}", "json-invalid", "line 1, column 1"),
]


@pytest.mark.parametrize(("body", "code", "place"), BROKEN)
def test_what_is_not_json_is_refused_with_its_place(body, code, place):
    with pytest.raises(BadInput) as refused:
        parse(body)

    (fault,) = refused.value.faults
    assert (fault.pointer, fault.code) == ("", code)
    assert fault.detail.endswith(place)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("times", [MAX_DEPTH + 2, 100_000])
def test_a_nesting_bomb_is_refused(opening, times):
    closing = {b"[": b"]", b'{"a":': b"}", b'[{"a":': b"}]"}[opening]

    assert refusal(opening * times + b"1" + closing * times) == [("", "json-too-deep")]


def test_the_depth_that_is_allowed_is_read():
    parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


@pytest.mark.parametrize("inner", [b"", b'{"a": {}}', b"[[]]"])
def test_much_that_is_side_by_side_is_not_deep(inner):
    assert len(parse(b"[" + b",".join([b"[" + inner + b"]"] * 100) + b"]")) == 100


@pytest.mark.parametrize(("holders", "deep"), [(MAX_DEPTH, False), (MAX_DEPTH + 1, True)])
@pytest.mark.parametrize("leaf", [b"1", b'""', b"null"])
@pytest.mark.parametrize("beside", [b"", b",[[],[]]"])
def test_a_leaf_lies_one_level_below_what_holds_it(holders, deep, leaf, beside):
    body = b"[" * holders + leaf + b"]" * (holders - 1) + beside + b"]"

    found = refusal(body) if deep else parse(body)

    assert (found == [("", "json-too-deep")]) is deep


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        (b'{"a": 1, "a": 1}', [("/a", "key-repeated")]),
        (b'{"a": 1, "\\u0061": 2}', [("/a", "key-repeated")]),
        (b'{"x": [{"b": 1, "a/b": 2, "a/b": 3, "b": 4}]}', [("/x/0/a~1b", "key-repeated"), ("/x/0/b", "key-repeated")]),
        (b'{"": 1, "": 2}', [("/", "key-repeated")]),
        (b'{"a": "\\u0000"}', [("/a", "text-unusable")]),
        (b'{"a": "\\ud800"}', [("/a", "text-unusable")]),
        (b'{"a": "\\udc00\\ud800"}', [("/a", "text-unusable")]),
        (b'[1, ["\\u0000x"]]', [("/1/0", "text-unusable")]),
        (b'{"o": {"\\u0000": 1}}', [("/o", "text-unusable")]),
        (b'{"o": {"\\udfff": 1}}', [("/o", "text-unusable")]),
        (b'{"a": "\\u0000", "b": 1, "b": 2}', [("/b", "key-repeated"), ("/a", "text-unusable")]),
    ],
)
def test_what_cannot_be_kept_or_is_said_twice_is_refused_with_its_pointer(body, faults):
    assert refusal(body) == faults


def test_a_message_that_is_nothing_but_faults_is_refused_at_once_with_the_first_thousand():
    twice = b",".join(b'"k%d":1,"k%d":1' % (number, number) for number in range(50_000))

    faults = refusal(b"{" + twice + b"}")

    assert len(faults) == MAX_FAULTS + 1
    assert faults[-1] == ("", "too-many-faults")


def test_a_key_that_is_repeated_a_hundred_thousand_times_is_refused_at_once():
    assert refusal(b"{" + b",".join([b'"a":1'] * 100_000) + b"}") == [("/a", "key-repeated")]


@pytest.mark.parametrize(
    "text", ["3.50", "0", "-0", "-0.0", "1e400", "1E+5", "0.000", "9" * 5000, "1.0000000000000000000000000000000001"]
)
def test_a_number_keeps_its_text(text):
    found = parse(text.encode())

    assert isinstance(found, Number)
    assert str(found) == text


def test_a_byte_order_mark_is_passed_over():
    assert parse(b'\xef\xbb\xbf{"a": true}') == {"a": True}


def test_a_pair_of_surrogates_is_one_character():
    assert parse(b'"\\ud83e\\ude78"') == "\N{DROP OF BLOOD}"


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
VALUES = st.recursive(
    st.none() | st.booleans() | TEXT | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(value=VALUES)
def test_every_value_of_json_is_read_as_it_was_written(value):
    written = json.dumps(value, default=lambda number: {"number": str(number)})

    assert parse(written.encode()) == json.loads(written)


@given(body=st.binary(max_size=60) | st.text(alphabet='{}[]",:0123456789.eE+-\\u naNInfityrusl\x00', max_size=40))
def test_any_bytes_are_read_or_refused(body):
    faults = None
    try:
        parse(body if isinstance(body, bytes) else body.encode())
    except BadInput as refused:
        faults = refused.faults

    assert faults is None or len(faults) > 0


NEARLY_JSON = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            '"a"',
            '"b"',
            '"',
            "\\",
            "\\u0000",
            "\\ud800",
            "\\u0061",
            "1",
            "-0.0",
            "NaN",
            "[" * 33,
        ]
    )
    | st.sampled_from(['{"a":1,"a":2}', '{"a":{"b":[1]}}', '["\\ud83e\\ude78"]', "null", " ", "\n", "\ufeff"]),
    max_size=12,
).map("".join)


@given(text=NEARLY_JSON | VALUES.map(lambda value: json.dumps(value, default=str)))
def test_the_quick_way_answers_what_the_careful_one_does(text):
    assert outcome(parse, text.encode()) == outcome(strict_json._looked_into, text.removeprefix("\ufeff"))


def outcome(read, sent):
    try:
        return read(sent)
    except BadInput as refused:
        return refused.kind, refused.faults
