"""Answers to a list, a look-up and a deletion."""

from __future__ import annotations

import json

import pytest

from bulk_upload.core.api.paging import ListedPage
from bulk_upload.core.api.responses import (
    is_plausible_success,
    listed_file,
    listed_page,
    looked_up_file,
)
from bulk_upload.core.model import (
    ListedFile,
)


def test_listed_files() -> None:
    """A list keeps every member with what the server tells of it; one without a usable id has none, and stays."""
    body = json.dumps(
        {
            "object": "list",
            "data": [
                {
                    "id": "file-1",
                    "filename": "a",
                    "bytes": 1,
                    "purpose": "p",
                    "created_at": "2026-06-18T09:30:00Z",
                },
                {"id": "../x", "filename": "b"},
                {"id": 1003, "filename": "c", "bytes": 2},
                {"filename": "d"},
                7,
                None,
                {"id": "file-2", "filename": 1, "bytes": "1", "purpose": [], "created_at": []},
            ],
        }
    ).encode()
    page = listed_page(body)
    assert page is not None
    assert page.files == [
        ListedFile(file_id="file-1", filename="a", bytes=1, purpose="p", created_at="2026-06-18T09:30:00Z"),
        ListedFile(file_id="../x", has_id=False, filename="b"),
        ListedFile(file_id="1003", has_id=False, filename="c", bytes=2),
        ListedFile(file_id="no id", has_id=False, filename="d"),
        ListedFile(file_id="7", has_id=False),
        ListedFile(file_id="no id", has_id=False),
        ListedFile(file_id="file-2"),
    ]
    assert listed_page(b'{"object": "list", "data": [], "next_page": "abc"}') == ListedPage([], "abc")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"data": null}', b'{"data": {}}', b"<html>", b'{"data": [}']
)
def test_not_a_list(body: bytes) -> None:
    """What is not a list answer is told apart from an empty list, for absence is a decision."""
    assert listed_page(body) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", True),
        (b" \n", True),
        (b"{}", True),
        (b'{"id": "file-1", "deleted": true}', True),
        (b'{"error": {"message": "no"}}', False),
        (b'{"detail": "no"}', False),
        (b"{chaos", False),
        (b"<html>", False),
        (b"[]", False),
    ],
)
def test_what_a_deletion_may_answer(body: bytes, expected: bool) -> None:
    """A gateway's page, or half an answer, is no success: the deletion is asked for again, and finds nothing then."""
    assert is_plausible_success(body) is expected


def test_looked_up_file() -> None:
    """A look-up gives the file, or that it was no usable answer."""
    assert looked_up_file(b'{"id": "file-1", "bytes": 0}') == ListedFile(file_id="file-1", bytes=0)
    assert looked_up_file(b'{"id": ".."}') is None
    assert looked_up_file(b"[]") is None


def test_size_field_names_in_order() -> None:
    """`bytes` is Flow's word; `size_bytes` counts where it is absent or null."""
    assert listed_file({"bytes": 1, "size_bytes": 2}, "file-1").bytes == 1
    assert listed_file({"bytes": None, "size_bytes": 2}, "file-1").bytes == 2
