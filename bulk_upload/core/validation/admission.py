"""Which files may be sent: those known to be good, those known to be bad, and those that must be checked first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bulk_upload.core.validation.result import ValidationResult

# Small files are checked together: one hop to a thread for a whole group that is small enough to be quick.
GROUP_ENTRIES_MAX = 64
GROUP_BYTES_MAX = 4 * 1024 * 1024

ItemT = TypeVar("ItemT")


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a file may be sent, and the message about it, None for none."""

    may_send: bool
    notice: str | None = None


def admission_of(result: ValidationResult, *, sends_invalid: bool) -> Admission:
    """Return whether a file may be sent. `sends_invalid`: the person wants invalid files sent all the same."""
    if result.is_valid:
        return Admission(may_send=True)
    if sends_invalid:
        return Admission(may_send=True, notice=f"invalid, but sent as requested: {result.reason}")
    return Admission(may_send=False)


class Split(msgspec.Struct, Generic[ItemT], frozen=True, kw_only=True):
    """Files by what must be done before they are sent. Each is in one list, in the order given.

    `checked_later` are those that are checked in the same read they are sent from, or not sent at all; `good` and
    `bad` have a result for this version of the file; `unchecked` have none.
    """

    checked_later: list[ItemT]
    good: list[tuple[ItemT, ValidationResult]]
    bad: list[tuple[ItemT, ValidationResult]]
    unchecked: list[ItemT]


def split(
    items: Iterable[ItemT],
    *,
    is_checked_later: Callable[[ItemT], bool],
    known_result: Callable[[ItemT], ValidationResult | None],
    sends_invalid: bool,
) -> Split[ItemT]:
    """Return files by what must be done with them; `known_result` is for the current version of the file."""
    parts: Split[ItemT] = Split(checked_later=[], good=[], bad=[], unchecked=[])
    for one in items:
        if is_checked_later(one):
            parts.checked_later.append(one)
        elif (result := known_result(one)) is None:
            parts.unchecked.append(one)
        elif admission_of(result, sends_invalid=sends_invalid).may_send:
            parts.good.append((one, result))
        else:
            parts.bad.append((one, result))
    return parts


def groups(items: Iterable[ItemT], *, small_bytes: Callable[[ItemT], int | None]) -> Iterator[list[ItemT]]:
    """Yield batches of files to check together, in order: small files in groups, each larger one alone.

    `small_bytes` returns the size of a small file, None for a larger one.
    """
    group: list[ItemT] = []
    group_bytes = 0
    for one in items:
        size = small_bytes(one)
        if size is None:
            yield [one]
            continue
        if group and (len(group) == GROUP_ENTRIES_MAX or group_bytes + size > GROUP_BYTES_MAX):
            yield group
            group, group_bytes = [], 0
        group.append(one)
        group_bytes += size
    if group:
        yield group
