"""Packs the files of a manifest: looks at what changed, plans the packs, and writes those that are not there yet."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.manifest.jsonl import jsonl_line
from bulk_upload.core.model import Entry
from bulk_upload.core.pack.layout import Layout, Limits, MemberKey, Wanted, kind_of, lay_out, sent_name_of
from bulk_upload.core.pack.members import earlier_packs
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.files import fingerprint_of
from bulk_upload.edge.pack import MemberChanged, PackFolder, PackWriter, Sources, sha256_of
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.pack.layout import PackKind, PlannedPack
    from bulk_upload.core.pack.members import Member
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.edge.source_tree import SourceTree


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is to be packed, as it is now. `earlier` is what the packs have of the same content."""

    entry: Entry
    fingerprint: Fingerprint
    earlier: Member | None = None

    @property
    def key(self) -> MemberKey:
        """What the member is known by."""
        return MemberKey(kind_of(self.entry), self.entry.path)


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """What was done. The names are those of packs; one that was written again with the same content was kept."""

    made: tuple[str, ...]
    rebuilt: tuple[str, ...]
    kept_count: int
    gone: tuple[str, ...]
    member_count: int
    pack_bytes: int


class Packing:
    """One packing of a manifest into a folder.

    Args:
        folder: of the packs.
        tree: where the files are.
        size: how many bytes a pack has at most, a single larger member aside.
        purposes: what is known of each.
        private: what is made is for its owner alone.
        on_bytes: called with how many more bytes were read.

    Raises:
        UsageError: the folder has other files.
    """

    def __init__(
        self,
        folder: PackFolder,
        tree: SourceTree,
        *,
        size: int,
        purposes: Mapping[str, Purpose],
        private: bool,
        on_bytes: Callable[[int], None],
    ) -> None:
        self._folder = folder
        self._tree = tree
        self._inside = os.path.join(os.path.realpath(folder.path), "")
        self._sources = Sources(open_file=tree.open_regular, fingerprint_of=fingerprint_of)
        self._size = size
        self._purposes = purposes
        self._writer = PackWriter(folder.path, self._sources, private=private, on_bytes=on_bytes)
        self._earlier = folder.members()
        self._known = {one.key: one for one in self._earlier}

    def candidate(self, entry: Entry, status: os.stat_result) -> Candidate:
        """Return a file as it is now; one that was only touched is hashed.

        Raises UsageError for a file in the folder of the packs.
        """
        if self._tree.absolute(entry.path).startswith(self._inside):
            raise UsageError(
                f"{printable(entry.path)} is in the folder of the packs itself",
                hint="pack the files of another manifest, or name another folder with -o",
            )
        fingerprint = fingerprint_of(status)
        earlier = self._known.get(MemberKey(kind_of(entry), entry.path))
        if earlier is not None and not fingerprint.same_version(earlier.fingerprint):
            is_touched = fingerprint.size == earlier.bytes
            if not is_touched or sha256_of(entry.path, self._sources) != earlier.sha256:
                earlier = None
        return Candidate(entry=entry, fingerprint=fingerprint, earlier=earlier)

    def lay_out(self, candidates: Sequence[Candidate], line_counts: Mapping[MemberKey, int]) -> Layout:
        """Return the packs as they are to be. `line_counts` has the lines of files that the packs do not have."""
        wanted = [
            Wanted(
                key=one.key,
                byte_count=one.fingerprint.size + 1 if one.earlier is None else one.earlier.packed_bytes,
                line_count=line_counts[one.key] if one.earlier is None else one.earlier.lines,
                is_same=one.earlier is not None,
            )
            for one in candidates
        ]
        intact = self._folder.intact(self._earlier)
        return lay_out(wanted, earlier_packs(self._earlier, intact), self._limits)

    def write(self, layout: Layout, candidates: Sequence[Candidate]) -> Packed:
        """Write what is not there yet, then the lists; return what was done. Blocks.

        Raises:
            UsageError: a file changed meanwhile or cannot be read, or the folder cannot be written. The lists are then as
                they were.
        """
        if not layout.gone and all(one.is_kept for one in layout.packs):
            members = self._members(layout, candidates, {})
            if members == self._earlier and self._folder.has_manifest(b"".join(_manifest_lines(members))):
                return self._packed(layout, members, {})
        with self._folder.claimed(self._earlier):
            written: dict[str, str] = {}
            members = self._members(layout, candidates, written)
            self._folder.commit(members, _manifest_lines(members))
            self._folder.remove_others(members)
        return self._packed(layout, members, written)

    def _members(
        self, layout: Layout, candidates: Sequence[Candidate], written: dict[str, str]
    ) -> list[Member]:
        """Return the members of all packs, and write those that are not kept; `written` gets their hashes."""
        by_key = {one.key: one for one in candidates}
        members: list[Member] = []
        for pack in layout.packs:
            if pack.is_kept:
                members += self._kept(pack, by_key)
            else:
                members += self._written(pack, by_key)
                written[pack.name] = members[-1].pack_sha256
        return members

    def _packed(self, layout: Layout, members: Sequence[Member], written: Mapping[str, str]) -> Packed:
        before = {one.pack: one.pack_sha256 for one in self._earlier}
        other = {name for name, sha256 in written.items() if before.get(name) != sha256}
        return Packed(
            made=tuple(sorted(other - before.keys())),
            rebuilt=tuple(sorted(other & before.keys())),
            kept_count=len(layout.packs) - len(other),
            gone=layout.gone,
            member_count=len(members),
            pack_bytes=sum(one.packed_bytes for one in members),
        )

    def _limits(self, kind: PackKind) -> Limits:
        purpose = self._purposes.get(kind.purpose)
        if purpose is None:
            return Limits(byte_count=self._size)
        schema = purpose.schema
        byte_count = self._size if schema.file_bytes_max is None else min(self._size, schema.file_bytes_max)
        return Limits(byte_count=byte_count, line_count=schema.lines_max)

    def _kept(self, pack: PlannedPack, by_key: Mapping[MemberKey, Candidate]) -> Iterator[Member]:
        for key in pack.members:
            one = by_key[key]
            fingerprint = one.fingerprint
            yield msgspec.structs.replace(
                self._known[key],
                mtime_ns=fingerprint.mtime_ns,
                inode=fingerprint.inode,
                ctime_ns=fingerprint.ctime_ns or 0,
            )

    def _written(self, pack: PlannedPack, by_key: Mapping[MemberKey, Candidate]) -> list[Member]:
        try:
            return self._writer.write(pack.name, [(key, by_key[key].fingerprint) for key in pack.members])
        except MemberChanged as error:
            raise UsageError(
                f"{printable(str(error))} changed while it was packed", hint="run the same command again"
            ) from None
        except OSError as error:
            raise UsageError(
                f"cannot write {printable(pack.name)} to {printable(self._folder.path)}: {error.strerror or error}",
                hint="free some space or name another folder with -o; files that are packed must be readable",
            ) from None


def _manifest_lines(members: Sequence[Member]) -> Iterator[bytes]:
    """Yield one line of a manifest for each pack: at the server its name ends in its own hash."""
    names: dict[str, Member] = {}
    for one in members:
        names.setdefault(one.pack, one)
    for name, one in names.items():
        yield jsonl_line(
            Entry(
                path=name,
                purpose=one.purpose,
                remote_name=sent_name_of(name, one.pack_sha256),
                vector_database_id=one.vector_database_id,
                fields=tuple(sorted(one.fields.items())),
            )
        )
