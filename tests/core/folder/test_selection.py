"""Which files of a folder are wanted."""

from __future__ import annotations

import pytest

from bulk_upload.core.folder.selection import Selection
from bulk_upload.errors import UsageError


@pytest.mark.parametrize(
    ("pattern", "matched", "other"),
    [
        ("*.tmp", ["a.tmp", "x/y/b.tmp"], ["tmp", "a.tmp.jsonl"]),
        ("old", ["old", "x/old/a"], ["older", "x/bold"]),
        ("/old", ["old", "old/a"], ["x/old/a"]),
        ("x/*.jsonl", ["x/a.jsonl"], ["a.jsonl", "y/x/a.jsonl", "x/y/a.jsonl"]),
        ("a/**/z", ["a/z", "a/b/c/z"], ["b/a/z"]),
        ("corpus/", ["corpus/a", "x/corpus/a"], ["corpus"]),
        ("a[0-9].csv", ["a1.csv"], ["ab.csv"]),
        ("*.\udcff", ["x.\udcff"], ["x.\udcfe"]),
    ],
)
def test_patterns_are_those_of_gitignore(pattern: str, matched: list[str], other: list[str]) -> None:
    """What git would ignore is excluded by the pattern, and included by it."""
    for path in [*matched, *other]:
        assert Selection(exclude=[pattern]).takes(path) == (path in other), path
        assert Selection(include=[pattern]).takes(path) == (path in matched), path


def test_a_later_pattern_takes_back() -> None:
    """`!` is an exception to the patterns before it."""
    selection = Selection(exclude=["*.jsonl", "!keep.jsonl"])
    assert [path for path in ("a.jsonl", "x/keep.jsonl", "b") if selection.takes(path)] == [
        "x/keep.jsonl",
        "b",
    ]


def test_exclusion_wins() -> None:
    """A file that is included and excluded is excluded; with no pattern everything is taken."""
    selection = Selection(["*.jsonl"], ["x/"])
    assert selection.takes("a.jsonl")
    assert not selection.takes("x/a.jsonl")
    assert not selection.takes("a.md")
    assert not selection.enters("x")
    assert selection.enters("y")
    assert Selection().takes("anything")


@pytest.mark.parametrize("pattern", ["", "  ", "# comment", "!", "/", "a["])
def test_what_matches_nothing_is_refused(pattern: str) -> None:
    """A pattern that can match no file is a mistake, and git's silence about it would hide that."""
    for include, exclude in (([pattern], []), ([], [pattern])):
        with pytest.raises(UsageError, match="is not a pattern"):
            Selection(include, exclude)


def test_age() -> None:
    """A file is new if it was modified after the time, not at it."""
    selection = Selection(newer_than_ns=5)
    assert selection.by_age
    assert [selection.is_new(mtime_ns) for mtime_ns in (4, 5, 6)] == [False, False, True]
    assert not Selection().by_age
    assert Selection().is_new(-1)
