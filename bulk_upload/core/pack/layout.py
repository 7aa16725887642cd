"""Which members go into which pack: packs whose members stayed the same stay, and nothing moves without need."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bulk_upload.core.model import Entry

HASH_DIGITS = 16
"""How many digits of its SHA-256 the name of a pack at the server ends in."""

_NUMBER = re.compile(r"-([0-9]{5,})\.jsonl\Z", re.ASCII)
_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]")


class PackKind(msgspec.Struct, frozen=True):
    """What all members of a pack have in common."""

    purpose: str
    vector_database_id: str | None = None
    fields: tuple[tuple[str, str], ...] = ()


class MemberKey(msgspec.Struct, frozen=True):
    """What a member is known by."""

    kind: PackKind
    path: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is to be in a pack. `is_same`: its content is that which the earlier pack has.

    `byte_count` and `line_count` are what it takes in a pack, at most.
    """

    key: MemberKey
    byte_count: int
    line_count: int
    is_same: bool = False


class EarlierPack(msgspec.Struct, frozen=True, kw_only=True):
    """A pack as it was written before, with its members in their order. `is_intact`: its file is still that."""

    name: str
    kind: PackKind
    members: tuple[MemberKey, ...]
    is_intact: bool = True


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How large a pack may become. A member that is larger by itself has a pack by itself."""

    byte_count: int
    line_count: int | None = None


class PlannedPack(msgspec.Struct, frozen=True, kw_only=True):
    """A pack as it is to be. `is_kept`: its file is this already. `is_new`: there was none of its name."""

    name: str
    kind: PackKind
    members: tuple[MemberKey, ...]
    is_kept: bool = False
    is_new: bool = False


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """All packs in the order of their numbers, and the names of those that are no more."""

    packs: tuple[PlannedPack, ...]
    gone: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def pack_kind(purpose: str, vector_database_id: str | None, fields: tuple[tuple[str, str], ...]) -> PackKind:
    """Return a kind of pack, the same object for all its members."""
    return PackKind(purpose, vector_database_id, fields)


def kind_of(entry: Entry) -> PackKind:
    """Return what kind of pack an entry goes into."""
    return pack_kind(entry.purpose, entry.vector_database_id, entry.fields)


def sent_name_of(name: str, sha256: str) -> str:
    """Return the name of a pack at the server: it ends in the pack's own hash."""
    return f"{name.removesuffix('.jsonl')}-{sha256[:HASH_DIGITS]}.jsonl"


def is_pack_name(name: str) -> bool:
    """Whether a file's name is that of a pack."""
    return _NUMBER.search(name) is not None


def lay_out(
    wanted: Sequence[Wanted], earlier: Iterable[EarlierPack], limits: Callable[[PackKind], Limits]
) -> Layout:
    """Return the packs of the members in `wanted`, which are in the order of the manifest.

    A pack whose members are all there and the same stays as it is. One that lost a member, or has a changed one, is made
    anew of those it still has; where they have grown too large for it, the last ones move. What has no pack goes to new
    ones, in order. A number is not given twice.
    """
    by_key = {one.key: (place, one) for place, one in enumerate(wanted)}
    packs: list[PlannedPack] = []
    gone: list[str] = []
    placed: set[MemberKey] = set()
    number = 0
    for pack in earlier:
        number = max(number, _number_of(pack.name))
        there = [by_key[key] for key in pack.members if key in by_key and key not in placed]
        if not there:
            gone.append(pack.name)
            continue
        if pack.is_intact and len(there) == len(pack.members) and all(one.is_same for _, one in there):
            members = pack.members
            packs.append(PlannedPack(name=pack.name, kind=pack.kind, members=members, is_kept=True))
        else:
            ordered = [one for _, one in sorted(there, key=lambda found: found[0])]
            members = next(_filled(ordered, limits(pack.kind)))
            packs.append(PlannedPack(name=pack.name, kind=pack.kind, members=members))
        placed.update(members)
    for kind, unplaced in _by_kind(wanted, placed).items():
        for members in _filled(unplaced, limits(kind)):
            number += 1
            packs.append(PlannedPack(name=_name(kind, number), kind=kind, members=members, is_new=True))
    return Layout(packs=tuple(sorted(packs, key=lambda one: _number_of(one.name))), gone=tuple(gone))


def _by_kind(wanted: Sequence[Wanted], placed: set[MemberKey]) -> dict[PackKind, list[Wanted]]:
    by_kind: dict[PackKind, list[Wanted]] = {}
    for one in wanted:
        if one.key not in placed:
            by_kind.setdefault(one.key.kind, []).append(one)
    return by_kind


def _filled(members: Iterable[Wanted], limits: Limits) -> Iterator[tuple[MemberKey, ...]]:
    """Yield the members of one pack after the other, each as full as its order allows."""
    keys: list[MemberKey] = []
    byte_count = line_count = 0
    for one in members:
        byte_count += one.byte_count
        line_count += one.line_count
        too_large = byte_count > limits.byte_count
        too_long = limits.line_count is not None and line_count > limits.line_count
        if keys and (too_large or too_long):
            yield tuple(keys)
            keys = []
            byte_count, line_count = one.byte_count, one.line_count
        keys.append(one.key)
    if keys:
        yield tuple(keys)


def _name(kind: PackKind, number: int) -> str:
    return f"{_UNUSUAL.sub('_', kind.purpose)}-{number:05d}.jsonl"


def _number_of(name: str) -> int:
    match = _NUMBER.search(name)
    return 0 if match is None else int(match[1])
