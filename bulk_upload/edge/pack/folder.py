"""The folder of packs: what earlier packing left in it, and the lists of what is in it now."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from bulk_upload.core.pack.layout import is_pack_name
from bulk_upload.core.pack.members import Member, member_line, read_members
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.output import FileSet, replaced
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MEMBERS_NAME = "members.jsonl"
MANIFEST_NAME = "manifest.jsonl"

_FOLDER_MODE = 0o777
_PRIVATE_FOLDER_MODE = 0o700


class PackFolder:
    """A folder that only packing writes to, ledgers beside its manifest aside.

    Args:
        path: the folder; it need not be there.
        private: what is made is for its owner alone.
    """

    def __init__(self, path: str, *, private: bool = False) -> None:
        self.path = path
        self._private = private

    @property
    def manifest(self) -> str:
        """The path of the packs' manifest."""
        return os.path.join(self.path, MANIFEST_NAME)

    @property
    def member_list(self) -> str:
        """The path of the list of members."""
        return os.path.join(self.path, MEMBERS_NAME)

    def members(self) -> list[Member]:
        """Return the members that earlier packing wrote, in the order of the list; none where there was none.

        Raises:
            UsageError: the folder has other files, or a list that cannot be read.
        """
        if os.path.lexists(self.member_list):
            return read_member_list(self.member_list)
        try:
            with os.scandir(self.path) as entries:
                other = next(entries, None)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unusable(error) from None
        if other is not None:
            raise UsageError(
                f"{printable(self.path)} has other files, such as {printable(other.name)}, and no {MEMBERS_NAME}",
                hint="packs need a folder of their own: name a new one with -o",
            )
        return []

    @contextmanager
    def claimed(self, earlier: Sequence[Member]) -> Iterator[None]:
        """Keep other packings out of the folder while the block runs; make it if missing.

        A new folder gets an empty list: a later packing knows by it that the folder is its own.

        Raises:
            UsageError: another packing is at work in it, or was since `earlier` was read; or it cannot be written.
        """
        try:
            mode = _PRIVATE_FOLDER_MODE if self._private else _FOLDER_MODE
            os.makedirs(self.path, mode=mode, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._unusable(error) from None
        try:
            self._lock(descriptor)
            if self.members() != list(earlier):
                raise UsageError(
                    f"{printable(self.path)} was packed by another command meanwhile",
                    hint="run the same command again",
                )
            if not os.path.lexists(self.member_list):
                self._make_empty_list()
            yield
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"another command is packing into {printable(self.path)}", hint="wait for its end"
            ) from None
        except OSError:
            # A file system without locks.
            return

    def _make_empty_list(self) -> None:
        try:
            with replaced(self.member_list, private=self._private):
                pass
        except OSError as error:
            raise self._unusable(error) from None

    def intact(self, members: Iterable[Member]) -> frozenset[str]:
        """Return the names of packs whose file is still what the list says, as far as size and change time show it.

        A pack is written before the list is: one that was changed after the list is not the one in the list.
        """
        sizes: dict[str, int] = {}
        for one in members:
            sizes[one.pack] = sizes.get(one.pack, 0) + one.packed_bytes
        found = set()
        with suppress(OSError):
            listed_ns = os.stat(self.member_list).st_ctime_ns
            for name, size in sizes.items():
                with suppress(OSError):
                    status = os.stat(os.path.join(self.path, name))
                    if status.st_size == size and status.st_ctime_ns <= listed_ns:
                        found.add(name)
        return frozenset(found)

    def has_manifest(self, content: bytes) -> bool:
        """Whether the manifest is there and has this content."""
        try:
            with open(self.manifest, "rb") as file:
                return file.read() == content
        except OSError:
            return False

    def commit(self, members: Iterable[Member], manifest: Iterable[bytes]) -> None:
        """Write the list and the manifest, both or none. Raises UsageError."""
        files = FileSet(private=self._private)
        try:
            files.add(self.member_list).writelines(map(member_line, members))
            files.add(self.manifest).writelines(manifest)
            files.commit()
        except OSError as error:
            raise self._unusable(error) from None
        finally:
            files.drop()

    def remove_others(self, members: Iterable[Member]) -> None:
        """Remove packs that the list does not have: earlier ones, and those of a packing that did not come to its end."""
        listed = {one.pack for one in members}
        with suppress(OSError):
            for name in os.listdir(self.path):
                if is_pack_name(name) and name not in listed:
                    with suppress(OSError):
                        os.unlink(os.path.join(self.path, name))

    def _unusable(self, error: OSError) -> UsageError:
        return UsageError(
            f"cannot write to {printable(self.path)}: {error.strerror or error}",
            hint="name another folder with -o, or free some space",
        )


def read_member_list(path: str) -> list[Member]:
    """Return the members of a list.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    try:
        with open(path, "rb") as lines:
            return list(read_members(lines))
    except OSError as error:
        raise UsageError(
            f"cannot read {printable(path)}: {error.strerror}",
            hint=f"`bulk-upload pack` writes it, as {MEMBERS_NAME} in the folder of its -o",
        ) from None
    except ValueError as error:
        raise UsageError(
            f"{printable(path)} is no list of members: {printable(str(error))}",
            hint="it was changed since `bulk-upload pack` wrote it: restore it, or remove the folder and pack again"
            if os.path.basename(path) == MEMBERS_NAME
            else f"name the {MEMBERS_NAME} that `bulk-upload pack` wrote",
        ) from None
