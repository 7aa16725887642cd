from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.pack.lines import BlankLines, MemberLines, Taken, restored
from bulk_upload.core.text.text_bytes import BOM

PIECES = st.lists(
    st.sampled_from(
        [BOM, b"\n", b"\r\n", b" ", b"\t\n", b"\v", b'{"a": 1}', b"x", b"\r", b"\n\n\n", "ü".encode()]
    ),
    max_size=12,
)


def packed(pieces: list[bytes]) -> tuple[bytes, MemberLines]:
    lines = MemberLines()
    return b"".join([*map(lines.feed, pieces), lines.end()]), lines


@given(PIECES, st.integers(1, 5))
def test_every_member_comes_back(pieces: list[bytes], step: int) -> None:
    """Whatever a file's bytes, however they are cut: its lines in the pack and the record give exactly them."""
    text = b"".join(pieces)
    out, lines = packed([text[at : at + step] for at in range(0, len(text), step)])
    assert b"".join(restored(io.BytesIO(out), lines.taken)) == text
    assert out == packed([text])[0]
    assert (lines.line_count, lines.byte_count) == (out.count(b"\n"), len(out))


@given(PIECES)
def test_lines_in_a_pack_are_whole(pieces: list[bytes]) -> None:
    """In a pack every line has its end, none is blank, and no mark stands at a member's beginning."""
    out, lines = packed(pieces)
    assert not out or out.endswith(b"\n")
    assert all(line.strip() for line in io.BytesIO(out))
    if b"".join(pieces).startswith(BOM):
        assert lines.taken.byte_order_mark


@pytest.mark.parametrize(
    ("text", "wanted", "taken"),
    [
        (b"a\nb\n", b"a\nb\n", Taken()),
        (b"a\nb", b"a\nb\n", Taken(end_added=True)),
        (BOM + b"a\r\n", b"a\r\n", Taken(byte_order_mark=True)),
        (
            b"\n\na\n \r\nb",
            b"a\nb\n",
            Taken(end_added=True, blank_lines=(BlankLines(1, "\n", 2), BlankLines(4, " \r\n"))),
        ),
        (b"a\n  ", b"a\n", Taken(blank_lines=(BlankLines(2, "  "),))),
        (b"", b"", Taken()),
    ],
)
def test_what_is_taken(text: bytes, wanted: bytes, taken: Taken) -> None:
    """A mark goes, a missing line end comes, blank lines stay out; other bytes stay, carriage returns too."""
    out, lines = packed([text])
    assert (out, lines.taken) == (wanted, taken)
