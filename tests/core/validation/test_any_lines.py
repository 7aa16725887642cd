"""Any bytes in any pieces: the same findings, by the quick ways and the exact one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.purposes import PURPOSES, Field, Kind, Purpose, Schema
from bulk_upload.core.validation.file_types import HEAD_BYTES
from bulk_upload.core.validation.rules import RULES
from tests.core.data_samples import check, line
from tests.core.validation.bad_samples import BAD_LINES, OTHER_FILES
from tests.core.validation.two_ways import assert_ways_agree

EVERY = list(PURPOSES.values())

# A grammar of lines that are right, nearly right and wrong, so that chunks cut through all of them.
_odd = st.sampled_from(
    [one for _, one, rule, _ in BAD_LINES if rule != "too-deep"]
    + [data for data, _, _ in OTHER_FILES]
    + [b"", b"\r", b"\xef\xbb\xbf", b"{", b"[", b'{"messages":', b"\x00"]
)
_good = st.builds(
    lambda purpose, number, extra: line(purpose, number, **extra),
    st.sampled_from(EVERY),
    st.integers(0, 2),
    st.dictionaries(st.sampled_from(["id", "x"]), st.text(max_size=3), max_size=1),
)
# A file is judged by its first bytes, all of them at once: what is to be cut comes after so many.
_starts = st.sampled_from([b"", b" " * HEAD_BYTES + b"\n", b'{"text": "' + b"x" * HEAD_BYTES + b'"}\n'])
_files = st.builds(
    lambda start, lines, ends: (
        start + b"".join(one.rstrip(b"\n") + end for one, end in zip(lines, ends, strict=False))
    ),
    _starts,
    st.lists(_good | _odd | st.binary(max_size=20), max_size=8),
    st.lists(st.sampled_from([b"\n", b"\r\n", b"\n\n"]), min_size=8, max_size=8),
)


_MODEST = {one.name: replace(one, schema=replace(one.schema, line_bytes_max=150)) for one in EVERY}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*EVERY, *_MODEST.values()]), _files, st.data(), st.booleans())
def test_pieces_do_not_matter(purpose: Purpose, data: bytes, drawn: st.DataObject, thorough: bool) -> None:
    """The same file has the same findings whatever pieces it comes in, huge lines and all."""
    cuts = sorted(drawn.draw(st.lists(st.integers(0, len(data)), max_size=6)))
    pieces = [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]
    whole = check(purpose, data, thorough=thorough)
    assert check(purpose, *pieces, thorough=thorough) == whole
    assert check(purpose, *(data[n : n + 1] for n in range(len(data))), thorough=thorough) == whole


@given(st.sampled_from(EVERY), st.binary(max_size=2000), st.booleans())
def test_any_bytes_do(purpose: Purpose, data: bytes, thorough: bool) -> None:
    """Whatever the bytes, there are findings or none, and never a crash."""
    for one in check(purpose, data, thorough=thorough).findings:
        assert one.rule in RULES
        assert str(one).isprintable()


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(["user", "assistant", "system"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["messages", "role", "content", "text", "chosen", "x"]), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
_messages: st.SearchStrategy[Any] = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "tool"]), "content": st.sampled_from(["a", " ", "", None, [{}], []])},
        optional={
            "name": st.text(max_size=2),
            "weight": st.sampled_from([0, 1, True, None, "1"]),
            "tool_calls": st.sampled_from([None, [], [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]]),
            "tool_call_id": st.sampled_from([None, "a", 1]),
        },
    ),
    max_size=4,
)  # fmt: skip
_lines = st.dictionaries(
    st.sampled_from(["messages", "chosen", "rejected", "reference_answer", "text", "x", "system"]),
    _json | _messages,
    max_size=4,
)
_PARTS = Purpose(
    name="parts",
    summary="",
    suffixes=(),
    schema=Schema(
        fields=(
            Field(name="messages", kind=Kind.MESSAGES, required=False),
            Field(name="x", kind=Kind.ANY, required=False),
            Field(name="text", kind=Kind.NUMBER, required=False),
        ),
        content_parts=True,
    ),
)


@given(st.sampled_from([*EVERY, _PARTS]), _lines, st.binary(max_size=2), st.integers(0, 200))
def test_the_quick_ways_find_what_the_exact_way_does(
    purpose: Purpose, value: dict[str, Any], noise: bytes, at: int
) -> None:
    """A line that is decoded quickly has the findings of the exact way, or is left to it, whatever noise is in it."""
    assert_ways_agree(purpose, value, noise, at)


_answers = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["assistant"] * 4 + ["user", "system", "tool"]),
            "content": st.sampled_from(["a", "b", "a ", "\u00a0a", "ab", " ", "\u00a0", ""]),
        },
        optional={"weight": st.none()},
    ),
    min_size=1,
    max_size=2,
)
_pairs = st.fixed_dictionaries(
    {
        "messages": st.sampled_from(
            [[{"role": "user", "content": "q"}], [{"role": "assistant", "content": "a"}]]
        ),
        "chosen": _answers,
        "rejected": _answers,
    }
)


@given(_pairs)
def test_pairs_are_judged_by_both_ways_alike(value: dict[str, Any]) -> None:
    """Two answers that are decoded quickly have the findings of the exact way, be they usual or not."""
    assert_ways_agree(PURPOSES["preference-fine-tune"], value, b"", 0)


def test_a_weight_of_null_makes_no_other_prompt() -> None:
    """Prompts of a pair are the same where one message has a key that says nothing."""
    prompt = {"role": "user", "content": "q"}
    value = {
        "messages": [prompt],
        "chosen": [{**prompt, "weight": None}, {"role": "assistant", "content": "a"}],
        "rejected": [prompt, {"role": "assistant", "content": "b"}],
        "x": 1,
    }
    assert_ways_agree(PURPOSES["preference-fine-tune"], value, b"", 0)
