"""The strict reading of bodies: what is read, what is refused, and that a refusal says what and where."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models import InvalidSyntaxException, InvalidValueException

from app.scim.reading import MAXIMUM_DEPTH, read_json

ACCEPTED = {
    "an object": (b'{"a":{"b":[1,2.5,true,null,"c"]}}', {"a": {"b": [1, 2.5, True, None, "c"]}}),
    "a byte order mark": (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
    "the largest numbers": (
        b"[9223372036854775807,-9223372036854775808,1e308]",
        [2**63 - 1, -(2**63), 1e308],
    ),
    "a surrogate pair": (b'"\\ud83d\\ude00"', "😀"),
    "an escaped backslash before u0000": (b'"\\\\u0000"', "\\u0000"),
    "brackets in strings": (b'{"a":"' + b"[{" * 100 + b'"}', {"a": "[{" * 100}),
    "brackets after escaped quotes": (b'["' + b'\\"[' * 100 + b'"]', ['"[' * 100]),
    "as deep as allowed": (b"[" * MAXIMUM_DEPTH + b"]" * MAXIMUM_DEPTH, None),
    "equal names in different objects": (b'[{"a":1},{"A":2}]', [{"a": 1}, {"A": 2}]),
}


@pytest.mark.parametrize(("body", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_is_read(body, expected):
    assert read_json(body) == (json.loads(body) if expected is None else expected)


SYNTAX, VALUE = InvalidSyntaxException, InvalidValueException
REFUSED = {
    "nothing": (b"", SYNTAX, "empty"),
    "blanks": (b" \n", SYNTAX, "empty"),
    "not UTF-8": (b'{"a":"\xff"}', SYNTAX, "not UTF-8 (byte 6)"),
    "UTF-16": ('{"a":1}'.encode("utf-16"), SYNTAX, "not UTF-8"),
    "a surrogate as UTF-8": (b'"\xed\xa0\x80"', SYNTAX, "not UTF-8"),
    "two byte order marks": (b"\xef\xbb\xbf\xef\xbb\xbf{}", SYNTAX, "not JSON"),
    "an open object": (b'{"a":', SYNTAX, "not JSON at a:"),
    "a trailing comma": (b'{"a":1,}', SYNTAX, "line 1, column 8"),
    "two values": (b"{} {}", SYNTAX, "Extra data"),
    "a wrong word": (b'{"a":[1,{"b":tru}]}', SYNTAX, "at a[1].b"),
    "a raw control character": (b'{"a":"\x00"}', SYNTAX, "at a:"),
    "NaN": (b'{"Operations":[{"op":"add","value":{"x":NaN}}]}', SYNTAX, "at Operations[0].value.x"),
    "Infinity": (b'{"a":[1,Infinity]}', SYNTAX, "at a[1]"),
    "-Infinity": (b"-Infinity", SYNTAX, "Infinity"),
    "a name twice": (b'{"a":{"b":1,"c":2,"b":3}}', SYNTAX, "'b' stands more than once at a"),
    "a name in two cases": (
        b'{"Operations":[{"op":"add","OP":"remove"}]}',
        SYNTAX,
        "'OP' stands more than once at Op",
    ),
    "a name twice by an escape": (b'{"a":1,"\\u0061":2}', SYNTAX, "more than once"),
    "too deep": (b"[" * 33 + b"]" * 33, SYNTAX, "nested more than 32"),
    "a megabyte of brackets": (b"[" * 1_000_000, SYNTAX, "nested more than 32"),
    "a megabyte of objects": (b'{"a":' * 200_000, SYNTAX, "nested more than 32"),
    "deep after a quote": (b'["\\\\",' + b"[" * 100_000, SYNTAX, "nested more than 32"),
    "a number over 64 bits": (b'{"x":{"y":[1,9223372036854775808]}}', VALUE, "at x.y[1]"),
    "a number of many digits": (b'{"x":' + b"9" * 100_000 + b"}", VALUE, "at x does not fit"),
    "a decimal over 64 bits": (b'{"x":[1e999]}', VALUE, "at x[0]"),
    "U+0000": (b'{"x":["a\\u0000"]}', VALUE, "at x[0]"),
    "U+0000 in a name": (b'{"x":{"a\\u0000b":1}}', VALUE, "at x.a?b"),
    "half a surrogate pair": (b'{"x":"\\uD83D"}', VALUE, "at x "),
    "the other half": (b'{"x":"\\ude00\\ud83d"}', VALUE, "at x "),
}


@pytest.mark.parametrize(("body", "exception", "said"), REFUSED.values(), ids=REFUSED)
def test_is_refused(body, exception, said):
    with pytest.raises(exception) as refusal:
        read_json(body)
    assert said in refusal.value.detail
    assert len(refusal.value.detail) < 500


@pytest.mark.parametrize(
    "body",
    [
        b'{"password":"hunter2","PASSWORD":"hunter2"}',
        b'{"password":"hunter2"',
        b'{"password":"hunter2\\u0000"}',
        b'{"password":"hunter2" "x"}',
        b'{"password":"hunter2","x":NaN}',
        b'{"password":"hunter2\xff"}',
        b'{"password":"hunter2","x":' + b"[" * 100,
        b'{"password":"hunter2","x":99999999999999999999}',
    ],
)
def test_no_refusal_repeats_a_value(body):
    with pytest.raises((InvalidSyntaxException, InvalidValueException)) as refusal:
        read_json(body)
    assert "hunter2" not in refusal.value.detail
    assert refusal.value.__cause__ is None


@given(
    st.binary(max_size=200) | st.text(alphabet='[]{}",:\\ua0dD8e1-.NIt\x00 ', max_size=200).map(str.encode)
)
def test_any_bytes_are_read_or_refused(body):
    with contextlib.suppress(InvalidSyntaxException, InvalidValueException):
        read_json(body)


plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    leaves | plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain.map(str.lower), inner, max_size=4),
    max_leaves=20,
)


@given(values, st.booleans())
def test_what_json_writes_is_read_back(value, ascii_only):
    def has_equal_names(each):
        if isinstance(each, dict):
            return len({name.lower() for name in each}) != len(each) or any(
                map(has_equal_names, each.values())
            )
        return isinstance(each, list) and any(map(has_equal_names, each))

    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    if has_equal_names(value):
        with pytest.raises(InvalidSyntaxException):
            read_json(body)
    else:
        assert read_json(body) == value
