"""Writes packs: whole under a temporary name, durable, then under their own."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from bulk_upload.core.pack.lines import MemberLines
from bulk_upload.core.pack.members import Member
from bulk_upload.edge.output import replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.pack.layout import MemberKey

PIECE_BYTES = 1024 * 1024


class MemberChanged(Exception):
    """A file is another version than the one that was validated; the message is its path."""


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Where files come from: `open_file` returns a descriptor, which the caller closes."""

    open_file: Callable[[str], int]
    fingerprint_of: Callable[[os.stat_result], Fingerprint]


class PackWriter:
    """Writes packs into a folder.

    Args:
        folder: must be there.
        sources: where the members come from.
        private: packs are for their owner alone.
        on_bytes: called with how many more bytes were read.
    """

    def __init__(
        self, folder: str, sources: Sources, *, private: bool, on_bytes: Callable[[int], None]
    ) -> None:
        self._folder = folder
        self._sources = sources
        self._private = private
        self._on_bytes = on_bytes

    def write(self, name: str, members: Sequence[tuple[MemberKey, Fingerprint]]) -> list[Member]:
        """Write a pack of these files, in this order, in place of an older one; return its members.

        Raises:
            MemberChanged: a file is not the version of its fingerprint; the older pack stays.
            OSError: a file cannot be read, or the pack cannot be written.
        """
        written: list[Member] = []
        hasher = hashlib.sha256()
        line_no = 1
        with replaced(os.path.join(self._folder, name), private=self._private) as stream:
            for key, fingerprint in members:
                member = self._copied(key, fingerprint, stream, hasher)
                written.append(msgspec.structs.replace(member, pack=name, first_line=line_no))
                line_no += member.lines
        return [msgspec.structs.replace(one, pack_sha256=hasher.hexdigest()) for one in written]

    def _copied(
        self, key: MemberKey, fingerprint: Fingerprint, stream: BinaryIO, hasher: hashlib._Hash
    ) -> Member:
        lines = MemberLines()
        own = hashlib.sha256()
        descriptor = self._sources.open_file(key.path)
        try:
            self._require_version(descriptor, key.path, fingerprint)
            for piece in _pieces(descriptor):
                own.update(piece)
                self._on_bytes(len(piece))
                text = lines.feed(piece)
                hasher.update(text)
                stream.write(text)
            text = lines.end()
            hasher.update(text)
            stream.write(text)
            self._require_version(descriptor, key.path, fingerprint)
        finally:
            os.close(descriptor)
        return Member(
            pack="",
            pack_sha256="",
            path=key.path,
            purpose=key.kind.purpose,
            vector_database_id=key.kind.vector_database_id,
            fields=dict(key.kind.fields),
            first_line=0,
            lines=lines.line_count,
            bytes=fingerprint.size,
            sha256=own.hexdigest(),
            mtime_ns=fingerprint.mtime_ns,
            inode=fingerprint.inode,
            ctime_ns=fingerprint.ctime_ns or 0,
            byte_order_mark=lines.taken.byte_order_mark,
            end_added=lines.taken.end_added,
            blank_lines=lines.taken.blank_lines,
        )

    def _require_version(self, descriptor: int, path: str, fingerprint: Fingerprint) -> None:
        if not fingerprint.same_version(self._sources.fingerprint_of(os.fstat(descriptor))):
            raise MemberChanged(path)


def sha256_of(path: str, sources: Sources) -> str | None:
    """Return the hash of a file, None where it cannot be read."""
    hasher = hashlib.sha256()
    try:
        descriptor = sources.open_file(path)
        try:
            for piece in _pieces(descriptor):
                hasher.update(piece)
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return hasher.hexdigest()


def _pieces(descriptor: int) -> Iterator[bytes]:
    while piece := os.read(descriptor, PIECE_BYTES):
        yield piece
