"""Values one after the other, however the text comes, and lines that a writer spoiled."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_upload.core.shapes import json_values
from bulk_upload.core.shapes.repairs import Damage, repaired
from bulk_upload.core.shapes.values import NotAValue, ValueSplitter, ValueTooLong, values_in

MESSAGES = b'[{"role": "user", "content": "x"}]'
TEXTS = [
    (b'[{"a": 1}, {"a": "}\\"]"}]', [b'{"a": 1}', b'{"a": "}\\"]"}']),
    (b'[\n {"a": [1,\n 2]},\n {"b": 1}\n]\n', [b'{"a": [1,\n 2]}', b'{"b": 1}']),
    (b'{"a": 1}{"b": 2}', [b'{"a": 1}', b'{"b": 2}']),
    (MESSAGES + b"\n" + MESSAGES, [MESSAGES, MESSAGES]),
    (b"[" + MESSAGES + b", " + MESSAGES + b"]", [MESSAGES, MESSAGES]),
    (b'["a", "b{"]', [b'"a"', b'"b{"']),
    (b'\xef\xbb\xbf{"a": 1}\n\xef\xbb\xbf{"b": 2}', [b'{"a": 1}', b'{"b": 2}']),
    (b'x {"a": 1} 5 {"b": 2} y', [NotAValue(b"x"), b'{"a": 1}', NotAValue(b"5"), b'{"b": 2}', NotAValue(b"y")]),
    (b'[{"a": 1}, {"b": ', [b'{"a": 1}', NotAValue(b'{"b":')]),
    (b'[\n{"a": 1},\n{"b": 2},\n', [b'{"a": 1}', b'{"b": 2}', NotAValue(b"")]),
    (b'["a", "b"', [b'"a"', b'"b"', NotAValue(b"")]),
    (b'{"a": "never', [NotAValue(b'{"a": "never')]),
    (b'{"a": 1}]', [b'{"a": 1}', NotAValue(b"]")]),
    (b"", []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), TEXTS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_values_in_pieces(text: bytes, wanted: list[bytes | NotAValue], size: int) -> None:
    """The same values come out wherever the pieces end, and nothing between them is passed over."""
    splitter = ValueSplitter(1000)
    found = [one for start in range(0, len(text), size) for one in splitter.feed(text[start : start + size])]
    found += splitter.finish()
    if size < len(text):
        found = [NotAValue(one.text.rstrip()) if isinstance(one, NotAValue) else one for one in found]
    assert found == wanted


def test_a_value_without_an_end_is_not_kept_for_ever() -> None:
    """Memory is bounded by the longest value that is allowed."""
    splitter = ValueSplitter(100)
    splitter.feed(b'{"a": [' * 10)
    with pytest.raises(ValueTooLong):
        splitter.feed(b'{"a": [' * 10)


LINES = [
    (b'{"a": 1},', (Damage.COMMA,), [b'{"a": 1}']),
    (b' {"a": 1} , \r\n', (Damage.COMMA,), [b'{"a": 1}']),
    (b'\xef\xbb\xbf{"a": 1}', (Damage.MARK,), [b'{"a": 1}']),
    (b'"{\\"a\\": 1}"', (Damage.ENCODED,), [b'{"a": 1}']),
    (b'"{\\"a\\": 1}",', (Damage.COMMA, Damage.ENCODED), [b'{"a": 1}']),
    (b'"{""a"": ""x""}"', (Damage.QUOTED,), [b'{"a": "x"}']),
    (b'{"a": 1}{"b": 2}', (Damage.SEVERAL,), [b'{"a": 1}', b'{"b": 2}']),
    (b'{"a": 1}, {"b": 2},', (Damage.COMMA, Damage.SEVERAL), [b'{"a": 1}', b'{"b": 2}']),
    (b'{"a": 1}\r{"b": 2}', (Damage.CR,), [b'{"a": 1}', b'{"b": 2}']),
]


@pytest.mark.parametrize(("line", "damage", "values"), LINES)
def test_lines_that_can_be_mended(line: bytes, damage: tuple[Damage, ...], values: list[bytes]) -> None:
    """What the writer meant is certain."""
    assert repaired(line) == (damage, values)


@pytest.mark.parametrize(
    "line",
    [b'{"a": 1}', b'{"a": 1} x', b'"text"', b'[{"a": 1}, {"b": 2}]', b'{"a": 1', b'"{\\"a\\": \\"x\\ny\\"}"', b"", b"5", b'{"a": 1}, 5'],
)  # fmt: skip
def test_lines_that_are_left_alone(line: bytes) -> None:
    """A good line needs nothing, and what could mean several things is not touched."""
    assert repaired(line) is None


def test_only_examples_count_as_values() -> None:
    """Text between objects is never thrown away."""
    assert values_in(b'{"a": 1} and {"b": 2}') is None


_ROWS = st.lists(
    st.fixed_dictionaries(
        {"instruction": st.sampled_from(["a", '}, {"instr', "]", "\\", "é"])},
        optional={"turns": st.lists(st.just({"instruction": "b"}), max_size=2), "x": st.none()},
    ).map(lambda row: json.dumps(row, ensure_ascii=False).encode())
    | st.sampled_from([b"{", b"}", b"]", b"[", b",", b"x", b'"a"', b"[1]", b'{"instruction": NaN}', b'{"instruction"', b"\xff"]),
    max_size=8,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    _ROWS,
    st.sampled_from([b",", b", ", b",\n", b"\n", b""]),
    st.sampled_from([b"", b"["]),
    st.integers(1, 90),
)
def test_a_parser_finds_the_values_that_a_search_for_brackets_does(
    rows: list[bytes], gap: bytes, start: bytes, size: int
) -> None:
    """Objects that are taken many at once are those that come out one by one, whatever stands between them."""
    text = start + gap.join(rows) + (b"]" if start else b"")
    pieces = [text[at : at + size] for at in range(0, len(text), size)]

    def values(splitter: ValueSplitter) -> list[bytes | NotAValue]:
        return [*(one for piece in pieces for one in splitter.feed(piece)), *splitter.finish()]

    class BracketsOnly(ValueSplitter):
        def _take_objects(self, found: list[bytes | NotAValue]) -> bool:
            return False

    assert values(ValueSplitter(10_000)) == values(BracketsOnly(10_000))


@pytest.mark.parametrize("text", ["a" * 7 + "\u00e9" * 9, "\U0001f600" * 9, "a\u20ac" * 9])
def test_utf_8_is_checked_in_pieces(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long text is UTF-8 or not wherever its pieces end, between characters or within them."""
    for size in range(4, 12):
        monkeypatch.setattr(json_values, "_DECODED_BYTES", size)
        json_values.require_utf8(text.encode())
        for at in range(len(text.encode())):
            whole = text.encode()
            for broken in (whole[:at] + b"\xff" + whole[at:], whole[: at + 1][:-1] + b"\xe2" + whole[at:]):
                with pytest.raises(UnicodeDecodeError):
                    json_values.require_utf8(broken)
