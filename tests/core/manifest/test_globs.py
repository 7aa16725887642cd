"""Patterns for names, and the map from pattern to purpose."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.manifest.globs import Glob, PurposeMap
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.errors import UsageError

FIRST, SECOND, *_ = PURPOSES


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.jsonl", "a.jsonl", True),
        ("*.jsonl", "deep/er/a.jsonl", True),
        ("*.jsonl", "a.jsonl.gz", False),
        ("*.jsonl", "A.JSONL", False),
        ("a?.jsonl", "ab.jsonl", True),
        ("[ab].jsonl", "x/b.jsonl", True),
        ("[!ab].jsonl", "b.jsonl", False),
        ("x/*.jsonl", "x/a.jsonl", True),
        ("x/*.jsonl", "x/y/a.jsonl", False),
        ("x/*.jsonl", "z/x/a.jsonl", False),
        ("/*.jsonl", "a.jsonl", True),
        ("/*.jsonl", "x/a.jsonl", False),
        ("corpus/**", "corpus/a", True),
        ("corpus/**", "corpus/x/y/a", True),
        ("corpus/**", "corpus", False),
        ("corpus/**", "my/corpus/a", False),
        ("corpus/", "corpus/x/a", True),
        ("**/corpus/**", "my/corpus/a", True),
        ("**/corpus/**", "corpus/a", True),
        ("a/**/z", "a/z", True),
        ("a/**/z", "a/b/c/z", True),
        ("a/**/z", "a/b/c", False),
        ("a/**/b/**/c", "a/b/x/b/y/c", True),
        ("**", "any/thing", True),
        ("./x/*.jsonl", "x/a.jsonl", True),
        ("a**b", "axxb", True),
        ("[", "[", True),
        ("*.jsonl", "\udcff.jsonl", True),
        ("*", "line\nend", True),
    ],
)
def test_matches(pattern: str, path: str, matches: bool) -> None:
    """`*` stays within a name, `**` crosses folders, a pattern without `/` is for the base name."""
    assert Glob(pattern).matches(path) is matches


@pytest.mark.parametrize("pattern", ["", "/", "./"])
def test_empty_pattern(pattern: str) -> None:
    """A pattern that stands for nothing is refused."""
    with pytest.raises(UsageError):
        Glob(pattern)


def test_hostile_pattern_is_quick() -> None:
    """Many stars against a long name cost no exponential time."""
    assert not Glob("**/" * 20 + "*a" * 20 + "b").matches("/".join(["a" * 200] * 30))


@given(
    st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=5),
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=5),
)
def test_agrees_with_a_regular_expression(parts: list[str], names: list[str]) -> None:
    """Matching part by part gives what one regular expression over the whole path gives."""
    pattern = "/".join(["", *parts])
    if parts[-1] == "**":
        parts = [*parts, "*"]
    spelled = {"**": "(?:[^/]+/)*", "*": "[^/]*/"}
    expression = "".join(spelled.get(part, f"{part}/") for part in parts)
    path = "/".join(names)
    assert Glob(pattern).matches(path) is (re.fullmatch(expression, f"{path}/") is not None)


def test_first_match_wins() -> None:
    """The purpose is that of the first pattern that matches; where none does there is none."""
    purposes = PurposeMap.parse([f"x/*={SECOND}", f"*.jsonl={FIRST}"])
    assert purposes.purpose_of("x/a.jsonl") == SECOND
    assert purposes.purpose_of("y/a.jsonl") == FIRST
    assert purposes.purpose_of("y/a.csv") is None


def test_pattern_with_equals_sign() -> None:
    """The last `=` separates, for a pattern may have others and a purpose has none."""
    assert PurposeMap.parse([f"key=*={FIRST}"]).purpose_of("key=7") == FIRST


@pytest.mark.parametrize("mapping", ["*.jsonl", f"={FIRST}", "*.jsonl=", "*.jsonl=nothing"])
def test_bad_mapping(mapping: str) -> None:
    """A mapping without pattern, `=` or known purpose is refused with what to write."""
    with pytest.raises(UsageError) as caught:
        PurposeMap.parse([mapping])
    assert caught.value.hint


def test_misspelled_purpose_gets_a_suggestion() -> None:
    """A purpose that is nearly right is met with the right one."""
    with pytest.raises(UsageError) as caught:
        PurposeMap.parse([f"*.jsonl={FIRST.replace('-', '_').upper()}"])
    assert caught.value.hint is not None
    assert f'Did you mean "{FIRST}"?' in caught.value.hint
