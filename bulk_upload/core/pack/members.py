"""The list of members: one line of JSON for each file, with where it is and what brings it back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.model import Fingerprint
from bulk_upload.core.pack.layout import EarlierPack, MemberKey, pack_kind
from bulk_upload.core.pack.lines import BlankLines, Taken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Member(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file in a pack. The names of the fields are those of `members.jsonl`, and a contract.

    Args:
        pack: the pack's file, beside the list.
        pack_sha256: of the whole pack.
        path: the file's path in the manifest.
        purpose: like the next two, what the file is for.
        first_line: the first of its lines in the pack, from 1.
        lines: how many lines it has there.
        bytes: the size of the file as it was.
        sha256: of the file as it was.
        mtime_ns: like the next two, what a change of the file is noticed by.
        byte_order_mark: like the next two, what distinguishes the file from its lines in the pack, see `Taken`.
    """

    pack: str
    pack_sha256: str
    path: str
    purpose: str
    vector_database_id: str | None = None
    fields: dict[str, str] = {}
    first_line: int
    lines: int
    bytes: int
    sha256: str
    mtime_ns: int
    inode: int
    ctime_ns: int
    byte_order_mark: bool = False
    end_added: bool = False
    blank_lines: tuple[BlankLines, ...] = ()

    @property
    def key(self) -> MemberKey:
        """What the member is known by."""
        kind = pack_kind(self.purpose, self.vector_database_id, tuple(sorted(self.fields.items())))
        return MemberKey(kind, self.path)

    @property
    def fingerprint(self) -> Fingerprint:
        """The version of the file that is in the pack."""
        return Fingerprint(size=self.bytes, mtime_ns=self.mtime_ns, inode=self.inode, ctime_ns=self.ctime_ns)

    @property
    def taken(self) -> Taken:
        """What distinguishes the file from its lines in the pack."""
        return Taken(
            byte_order_mark=self.byte_order_mark, end_added=self.end_added, blank_lines=self.blank_lines
        )

    @property
    def packed_bytes(self) -> int:
        """How many bytes its lines have in the pack."""
        blank_bytes = sum(len(one.text) * one.count for one in self.blank_lines)
        return self.bytes - 3 * self.byte_order_mark - blank_bytes + self.end_added


_decode = msgspec.json.Decoder(Member).decode


def member_line(member: Member) -> bytes:
    """Return a member's line of the list: ASCII, so that undecodable bytes in names survive as escapes."""
    return json.dumps(msgspec.to_builtins(member)).encode("ascii") + b"\n"


def read_members(lines: Iterable[bytes]) -> Iterator[Member]:
    """Yield the members of a list. Raises ValueError for a line that is none, with its number."""
    known: dict[str, str] = {}
    for line_no, line in enumerate(lines, start=1):
        try:
            member = _member_in(line)
            # Each of these texts is that of thousands of members: one object is enough.
            for name in ("pack", "pack_sha256", "purpose"):
                text = getattr(member, name)
                msgspec.structs.force_setattr(member, name, known.setdefault(text, text))
            yield member
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {line_no} is not a member: {error}") from None


def _member_in(line: bytes) -> Member:
    try:
        return _decode(line)
    except ValueError:
        # The standard library's accepts escapes that are half of a character, for bytes that are not UTF-8.
        return msgspec.convert(json.loads(line), Member)


def earlier_packs(members: Iterable[Member], intact: frozenset[str]) -> list[EarlierPack]:
    """Return the packs of a list, in its order; `intact` are the names of those whose file is still that."""
    by_name: dict[str, list[MemberKey]] = {}
    for one in members:
        by_name.setdefault(one.pack, []).append(one.key)
    return [
        EarlierPack(name=name, kind=keys[0].kind, members=tuple(keys), is_intact=name in intact)
        for name, keys in by_name.items()
    ]
