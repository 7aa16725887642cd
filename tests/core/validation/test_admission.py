"""Which files may be sent, by what is known of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.model import Fingerprint
from bulk_upload.core.validation.admission import (
    GROUP_BYTES_MAX,
    GROUP_ENTRIES_MAX,
    Admission,
    admission_of,
    groups,
    split,
)
from bulk_upload.core.validation.result import ValidationResult

VERSION = Fingerprint(size=1, mtime_ns=1, inode=1)


def result_of(error_count: int, *, warning_count: int = 0) -> ValidationResult:
    """A result with so many errors."""
    return ValidationResult(
        fingerprint=VERSION,
        rules="1",
        line_count=1,
        error_count=error_count,
        warning_count=warning_count,
        reason="line 7: bad" if error_count else None,
    )


@pytest.mark.parametrize(
    ("result", "sends_invalid", "admission"),
    [
        (result_of(0), False, Admission(may_send=True)),
        (result_of(0, warning_count=1), False, Admission(may_send=True)),
        (result_of(2, warning_count=1), False, Admission(may_send=False)),
        (
            result_of(2),
            True,
            Admission(may_send=True, notice="invalid, but sent as requested: line 7: bad"),
        ),
    ],
)
def test_an_invalid_file_is_sent_only_on_request(
    result: ValidationResult, sends_invalid: bool, admission: Admission
) -> None:
    """Warnings keep no file back; an invalid one is never sent silently."""
    assert admission_of(result, sends_invalid=sends_invalid) == admission


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([None, result_of(0), result_of(1)]))), st.booleans())
def test_each_file_is_in_one_part(
    files: list[tuple[bool, ValidationResult | None]], sends_invalid: bool
) -> None:
    """None is lost, none is listed twice, each part keeps the order, and nothing is sent against its result."""
    parts = split(
        range(len(files)),
        is_checked_later=lambda one: files[one][0],
        known_result=lambda one: files[one][1],
        sends_invalid=sends_invalid,
    )
    good, bad = [one for one, _ in parts.good], [one for one, _ in parts.bad]
    lists = (parts.checked_later, good, bad, parts.unchecked)
    assert all(one == sorted(one) for one in lists)
    assert sorted(number for one in lists for number in one) == list(range(len(files)))
    assert all(files[one][0] for one in parts.checked_later)
    assert all(files[one][1] is None for one in parts.unchecked)
    assert all(sends_invalid or result.is_valid for _, result in parts.good)
    assert not any(sends_invalid or result.is_valid for _, result in parts.bad)


@given(st.lists(st.none() | st.integers(0, GROUP_BYTES_MAX), max_size=200))
def test_small_files_are_checked_together(sizes: list[int | None]) -> None:
    """A larger file (None) is alone, a group has a bounded number of bytes and of files, and no file is lost."""
    made = list(groups(range(len(sizes)), small_bytes=lambda one: sizes[one]))
    assert sorted(number for one in made for number in one) == list(range(len(sizes)))
    for one in made:
        bytes_of = [sizes[number] for number in one]
        assert bytes_of == [None] or (
            len(one) <= GROUP_ENTRIES_MAX and sum(size or 0 for size in bytes_of) <= GROUP_BYTES_MAX
        )
        assert one == sorted(one)


def test_a_group_is_as_large_as_it_may_be() -> None:
    """So many small files go together, and the rest is another group."""
    assert list(map(len, groups(range(GROUP_ENTRIES_MAX + 1), small_bytes=lambda _: 1))) == [
        GROUP_ENTRIES_MAX,
        1,
    ]
