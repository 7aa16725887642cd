"""What is in a folder: files with a purpose, files without one, and what is no file to upload."""

from __future__ import annotations

import msgspec

from bulk_upload.core.manifest.globs import PurposeMap  # noqa: TC001 - `help` evaluates the annotations of a Struct


class FolderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which files to upload in place of a manifest's, and what each is for.

    Args:
        paths: one folder; or files and folders.
        purpose: of files that no pattern of `mappings` matches.
        mappings: `PATTERN=PURPOSE`, the first match applies.
        include: patterns of files to take, as in a `.gitignore` file; all where there are none.
        exclude: patterns of files and folders to leave out.
        newer_than_ns: take only files that were modified after this Unix time.
        follow_symlinks: links to files may lead out of the folder.
    """

    paths: tuple[str, ...]
    purpose: str | None = None
    mappings: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    newer_than_ns: int | None = None
    follow_symlinks: bool = False


class GivenPurposes(msgspec.Struct, frozen=True, kw_only=True):
    """The purposes that a person gives: by pattern, and one for the rest."""

    mapping: PurposeMap
    rest: str | None = None

    def purpose_of(self, path: str) -> str | None:
        """Return the purpose of a file, None where none is given."""
        return self.mapping.purpose_of(path) or self.rest


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A file to upload; `path` is relative to the folder. `is_readable` says whether this user may read it."""

    path: str
    purpose: str
    file_bytes: int = 0
    is_readable: bool = True


class Undecided(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose purpose cannot be told; `guess` is what it most probably is for, `reason` why that is not sure.

    `convert_to` names the purposes that it can be converted for. `within` is what patterns match, where that is not the path:
    an object's key after the prefix.
    """

    path: str
    reason: str
    guess: str | None = None
    file_bytes: int = 0
    convert_to: tuple[str, ...] = ()
    within: str | None = None


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """Something that cannot be uploaded from here; `reason` says why.

    `may_be_data` says that it could not be read: files that belong to the job may be missing.
    """

    path: str
    reason: str
    may_be_data: bool = False


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """A file of bulk-upload's own: `kind` says what it is."""

    path: str
    kind: str


class PassedOver(msgspec.Struct, frozen=True, kw_only=True):
    """A hidden file or folder, or one that was not asked for (`is_unwanted`)."""

    path: str
    is_unwanted: bool = False


Sighting = Chosen | Undecided | Skipped | Own | PassedOver


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """The purpose under which a ledger has a file. `may_be_there` says that the server has, or may have, the file."""

    purpose: str
    may_be_there: bool
