"""The header of a manifest: what it names, and that no name gets lost in it."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.manifest.header import Header, header_line, header_of, is_header
from bulk_upload.core.manifest.reader import read_manifest
from bulk_upload.core.manifest.rules import ManifestRules
from bulk_upload.core.model import Entry

ENTRY = b'{"path": "a.jsonl", "purpose": "pre-train"}\n'


@given(root=st.binary(max_size=20), ledger=st.binary(max_size=20))
def test_any_path_comes_back(root: bytes, ledger: bytes) -> None:
    """Bytes that are not UTF-8 survive; the header is one line of ASCII."""
    line = header_line(root=os.fsdecode(root), ledger=os.fsdecode(ledger))
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert is_header(line)
    assert header_of(line) == Header(version=1, root=os.fsdecode(root), ledger=os.fsdecode(ledger))


def test_entries_keep_their_lines_after_a_header() -> None:
    """A header is no entry, and counts as a line."""
    rules = ManifestRules(where="m.jsonl", root="/")
    (one,) = read_manifest([header_line(root="/", ledger="/l"), b"\n", ENTRY], rules)
    assert isinstance(one, Entry)
    assert (one.path, one.line_no) == ("a.jsonl", 3)
    assert not is_header(ENTRY)


@pytest.mark.parametrize(
    "line", [b'{"bulk_upload_manifest": 2}', b'{"bulk_upload_manifest": "1"}', b'{"bulk_upload_manifest": 1, "x": 1}',
             b'{"bulk_upload_manifest": 1', b'{"bulk_upload_manifest": 1, "root": 5}']
)  # fmt: skip
def test_what_is_wrong_with_a_header_is_one_finding(line: bytes) -> None:
    """Nothing after it is read: its paths would start in the wrong place."""
    (one,) = read_manifest([line, ENTRY], ManifestRules(where="m.jsonl", root="/"))
    assert not isinstance(one, Entry)
    assert (one.rule, one.line_no) == ("bad-header", 1)
