"""Reads the members of packs back, byte for byte, and proves that they are what was packed."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import contextmanager
from itertools import groupby, islice
from typing import TYPE_CHECKING, BinaryIO

from bulk_upload.core.pack.lines import restored
from bulk_upload.edge.output import created

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bulk_upload.core.pack.members import Member


class Differs(Exception):
    """What came out of a pack is not what was packed; the message says what, after the name of file or pack."""


class NoRoom(OSError):
    """Nothing more can be written where the files go."""


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Errors that every other file would meet as well."""


class PackReader:
    """Reads packs of a folder.

    Args:
        folder: of the packs.
        target: where members are written to, by their paths; None writes nothing.
        private: what is written is for its owner alone.
        on_bytes: called with how many more bytes of members were read.
    """

    def __init__(
        self, folder: str, *, target: str | None, private: bool, on_bytes: Callable[[int], None]
    ) -> None:
        self._folder = folder
        self._target = target
        self._private = private
        self._on_bytes = on_bytes

    def read(self, members: Sequence[Member]) -> Iterator[tuple[str, Differs | OSError]]:
        """Read all members, those of a pack one after the other; yield what fails, each with its path or pack.

        A member is written only if it is what was packed. A file that is there already is never replaced: it must be
        the same. Raises NoRoom.
        """
        for name, of_pack in groupby(members, key=lambda one: one.pack):
            try:
                with open(os.path.join(self._folder, name), "rb") as stream:
                    yield from self._read_pack(name, _Pack(stream), list(of_pack))
            except NoRoom:
                raise
            except OSError as error:
                yield name, error

    def _read_pack(
        self, name: str, pack: _Pack, members: Sequence[Member]
    ) -> Iterator[tuple[str, Differs | OSError]]:
        for member in members:
            if member.first_line != pack.line_no:
                yield (
                    member.path,
                    Differs(f"begins at line {pack.line_no} of {name}, not at {member.first_line}"),
                )
            lines = pack.lines(member.lines)
            try:
                self._read_member(member, lines)
            except (Differs, OSError) as error:
                if isinstance(error, OSError) and error.errno in NO_ROOM:
                    raise NoRoom(error.errno, error.strerror) from None
                yield member.path, error
            # What an error left unread belongs to this member all the same.
            for _ in lines:
                pass
        for _ in pack.lines(None):
            yield name, Differs("has more lines than its members")
            break
        else:
            if pack.sha256 != members[0].pack_sha256:
                yield name, Differs("is not the pack that was written: its SHA-256 is another one")

    def _read_member(self, member: Member, lines: Iterator[bytes]) -> None:
        content = restored(lines, member.taken)
        if self._target is None:
            self._prove(member, content, None)
            return
        target = os.path.join(self._target, member.path)
        os.makedirs(os.path.dirname(target), mode=0o700 if self._private else 0o777, exist_ok=True)
        with _made(target, private=self._private) as stream:
            self._prove(member, content, stream)
            if stream is None and _sha256(target) != member.sha256:
                raise Differs(f"is in {self._target} already, with another content")

    def _prove(self, member: Member, content: Iterator[bytes], stream: BinaryIO | None) -> None:
        hasher = hashlib.sha256()
        byte_count = 0
        for piece in content:
            hasher.update(piece)
            byte_count += len(piece)
            if stream is not None:
                stream.write(piece)
        self._on_bytes(byte_count)
        if byte_count != member.bytes or hasher.hexdigest() != member.sha256:
            raise Differs("does not come back as it was: its SHA-256 is another one")


class _Pack:
    """An open pack, hashed as it is read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hasher = hashlib.sha256()
        self.line_no = 1

    @property
    def sha256(self) -> str:
        """The hash of what was read."""
        return self._hasher.hexdigest()

    def lines(self, count: int | None) -> Iterator[bytes]:
        """Yield the next lines, None for all that are left."""
        for line in islice(self._stream, count):
            self._hasher.update(line)
            self.line_no += 1
            yield line


@contextmanager
def _made(target: str, *, private: bool) -> Iterator[BinaryIO | None]:
    """Yield a stream for a new file that gets its name when the block ends well; None where there is one already."""
    if os.path.lexists(target):
        yield None
        return
    with created(target, private=private) as temporary, open(temporary, "wb") as stream:
        yield stream


def _sha256(path: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
