"""Fields of objects within a line, and values from a list."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.purposes import Purpose
from bulk_upload.core.validation.fast_decoder import LineReader
from bulk_upload.core.validation.schema_file import read_schemas
from bulk_upload.core.vendor_purposes import VENDOR_PURPOSES
from bulk_upload.errors import UsageError
from tests.core.data_samples import USER, check, found
from tests.core.validation.two_ways import assert_ways_agree

SCHEMAS = read_schemas(
    b"""
[purposes.requests.fields]
id = { type = "string", unique = true }
method = { type = "string", values = ["POST", "PUT"] }
body = { type = "object", fields = { model = "string", n = "number?" } }

[purposes.chats.fields]
body = { type = "object", fields = { messages = "messages" } }
extra = { type = "object?", fields = { kind = { type = "string", values = ["a"] } } }
""",
    name="s.toml",
)
REQUESTS, CHATS = SCHEMAS["requests"], SCHEMAS["chats"]
BATCHES = [one for purposes in VENDOR_PURPOSES.values() for one in purposes if one.name == "batch"]


def places(purpose: Purpose, *lines: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return rule and place of each finding."""
    data = b"".join(json.dumps(one).encode() + b"\n" for one in lines)
    return [(one.rule, one.place) for one in check(purpose, data).findings]


def test_what_is_wrong_inside_of_an_object_is_named_by_its_path() -> None:
    """Missing, of a wrong type, empty: as for the fields of the line itself; other keys are allowed."""
    assert places(
        REQUESTS,
        {"id": "a", "method": "POST", "body": {"model": "m", "n": 1, "x": [None]}},
        {"id": "b", "method": "POST", "body": {}},
        {"id": "c", "method": "POST", "body": {"model": 1}},
        {"id": "d", "method": "POST", "body": {"model": " "}},
        {"id": "e", "method": "POST", "body": {"model": "m", "n": "1"}},
        {"id": "f", "method": "POST", "body": []},
    ) == [
        ("missing-key", "$.body.model"),
        ("wrong-type", "$.body.model"),
        ("empty-content", "$.body.model"),
        ("wrong-type", "$.body.n"),
        ("wrong-type", "$.body"),
    ]


def test_a_value_that_is_not_in_the_list_is_named_with_the_nearest() -> None:
    """The finding has the value and all that are known."""
    data = b'{"id": "a", "method": "post", "body": {"model": "m"}}\n'
    (one,) = check(REQUESTS, data).findings
    assert (one.rule, one.place, one.found) == (
        "wrong-value",
        "$.method",
        'the value is "post", not one of POST, PUT',
    )
    assert one.remedy == 'Did you mean "POST"? Known values: POST, PUT'


def test_conversations_inside_of_an_object_are_checked() -> None:
    """Roles and their order are judged there, too."""
    assert places(
        CHATS, {"body": {"messages": [USER]}}, {"body": {"messages": [USER, {"role": "x", "content": "a"}]}}
    ) == [("wrong-role", "$.body.messages[1].role")]
    assert places(CHATS, {"body": {"messages": [USER, USER]}}) == [("role-order", "$.body.messages[1].role")]
    assert places(CHATS, {"body": {"messages": [USER]}, "extra": {"kind": "b"}}) == [
        ("wrong-value", "$.extra.kind")
    ]


@pytest.mark.parametrize(
    "purpose", BATCHES, ids=lambda one: ",".join(one.schema.required_names) + str(one.schema.lines_max)
)
def test_a_batch_of_requests(purpose: Purpose) -> None:
    """What vendors show as an example is good; the same id twice, or a call of another kind, is not."""
    urls = next((field.values for field in purpose.schema.fields if field.name == "url"), ())
    request = {"method": "POST", "url": urls[0]} if urls else {}
    lines = [{"custom_id": str(n), **request, "body": {"model": "m", "messages": [USER]}} for n in range(3)]
    assert places(purpose, *lines) == []
    assert places(purpose, *lines, lines[0] | {"n": 1}) == [("repeated-value", "$.custom_id")]
    assert places(purpose, {"messages": [USER]})[0][0] == "purpose-mismatch"
    if urls:
        assert places(purpose, lines[0] | {"method": "GET"}) == [("wrong-value", "$.method")]


_value = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["POST", "/v1/responses", "m", " ", ""]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["model", "n", "messages", "kind", "role", "content"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
_lines = st.dictionaries(
    st.sampled_from(["id", "custom_id", "method", "url", "body", "extra", "x"]), _value, max_size=6
)


@given(st.sampled_from([REQUESTS, CHATS, *BATCHES]), _lines, st.binary(max_size=2), st.integers(0, 80))
def test_the_quick_ways_find_what_the_exact_way_does(
    purpose: Purpose, value: dict[str, Any], noise: bytes, at: int
) -> None:
    """A line that is decoded quickly has the findings of the exact way, or is left to it, whatever noise is in it."""
    assert_ways_agree(purpose, value, noise, at)


def test_good_requests_take_the_quick_way() -> None:
    """Objects with further keys are no reason to look twice at every line."""
    line = b'{"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": {"model": "m", "input": "\xc3\xa9"}}'
    assert LineReader(BATCHES[0].schema).judge(LineReader(BATCHES[0].schema).strict(line)) == []
    with pytest.raises(UnicodeDecodeError):
        LineReader(BATCHES[0].schema).strict(line.replace(b"\xc3\xa9", b"\xc3("))
    assert found(BATCHES[0], line.replace(b"\xc3\xa9", b"\xc3(")) == [("not-utf-8", 1, "column 95")]


@pytest.mark.parametrize(
    ("described", "why"),
    [
        ('{ type = "number", values = ["1"] }', "only a string has values"),
        ('{ type = "string", fields = { a = "string" } }', "only an object has fields"),
        ('{ type = "object", unique = true }', "strings, numbers and booleans can be"),
        ('{ type = "text" }', "Types are"),
        ('{ kind = "string" }', "docs/how-to/validation.md"),
    ],
)
def test_a_field_that_cannot_be_is_refused(described: str, why: str) -> None:
    """The message names the field, and what is allowed."""
    with pytest.raises(UsageError) as caught:
        read_schemas(f"[purposes.p.fields]\na = {described}\n".encode(), name="s.toml")
    assert why in str(caught.value.hint)
