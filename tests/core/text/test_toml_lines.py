"""Keys of a TOML text are found on the lines they stand on."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.text.toml_lines import line_of

TEXT = '''\
# [jobs.a] in a comment, and b = 1
[defaults]
a = """
b = 2
"""
b = 3

list = [
  1,
  2,
]
[jobs."x.y"]
b = "[defaults]"
jobs.inner = 5
'''


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("defaults",), 2),
        (("defaults", "a"), 3),
        (("defaults", "b"), 6),
        (("defaults", "list"), 8),
        (("jobs", "x.y"), 12),
        (("jobs", "x.y", "b"), 13),
        (("jobs", "x.y", "jobs", "inner"), 14),
        (("nowhere",), 1),
        (("defaults", "a", "deeper"), 1),
    ],
)
def test_lines(keys: tuple[str, ...], line: int) -> None:
    """A value begins where a person sees its key: look-alikes in comments and texts do not mislead."""
    assert line_of(TEXT, keys) == line


@given(st.lists(st.sampled_from(["", "# k9 = 1", "  "]), max_size=4), st.integers(1, 8))
def test_lines_between_do_not_matter(between: list[str], count: int) -> None:
    """Every key is found, however many comments and blank lines stand around it."""
    lines = [line for number in range(count) for line in (*between, f"k{number} = {number}")]
    text = "\n".join(lines)
    for number in range(len(tomllib.loads(text))):
        assert lines[line_of(text, (f"k{number}",)) - 1] == f"k{number} = {number}"
