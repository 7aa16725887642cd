"""Walks a folder: which files a manifest of it would name, in the order of their paths.

One folder's names are in memory at a time, and those of the folders above it; never the whole tree.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulk_upload.core.manifest.globs import Glob
from bulk_upload.core.manifest.paths import is_beneath
from bulk_upload.core.text.wording import quoted
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulk_upload.core.manifest.globs import PurposeMap

_ACCESS_AS_EFFECTIVE_USER = os.access in os.supports_effective_ids
_OWN_FILES = (Glob("*.ledger.db*"), Glob("*.results.csv"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A file that a pattern gives a purpose; `path` is relative to the folder that is scanned.

    `is_readable` says whether this user may read it; a run asks again.
    """

    path: str
    purpose: str
    file_bytes: int = field(default=0, compare=False)
    is_readable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmatched:
    """A file that no pattern matches."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Something that cannot be uploaded from here, or is not entered; `reason` says why.

    `may_be_data` says that it could not be read: files that belong in the manifest may be missing from it.
    """

    path: str
    reason: str
    may_be_data: bool = False


Sighting = Chosen | Unmatched | Skipped


def walk(
    folder: str, purposes: PurposeMap, *, exclude: Sequence[Glob] = (), output: str | None = None
) -> Iterator[Sighting]:
    """Yield the files of a folder and of the folders in it, sorted by the bytes of their paths.

    Hidden files and folders, ledgers and results, `output` and everything `exclude` matches are skipped
    silently; a skipped folder is not entered. Symbolic links to folders are not entered either,
    and links to files count only if these lie in `folder`.

    Raises:
        UsageError: `folder` is not a folder or cannot be read.
    """
    try:
        # realpath treats an empty name as the current folder, which was not requested.
        root = os.path.realpath(folder) if folder else ""
        waiting = [_sorted_paths(root, "")]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no folder can have this name"
        raise UsageError(
            f"cannot scan {quoted(folder)}: {reason}", hint="Name a folder that this user may read"
        ) from error
    output_path = os.path.realpath(output) if output is not None else None
    while waiting:
        if not waiting[-1]:
            waiting.pop()
            continue
        path = waiting[-1].pop()
        is_folder = path.endswith("/")
        path = path.removesuffix("/")
        if _is_passed_over(path, exclude) or os.path.join(root, path) == output_path:
            continue
        if not is_folder:
            yield _sighting(root, path, purposes)
            continue
        try:
            waiting.append(_sorted_paths(root, path))
        except OSError as error:
            yield Skipped(path=path, reason=f"cannot be read: {error.strerror}", may_be_data=True)


def _sorted_paths(root: str, folder: str) -> list[str]:
    """Return the paths in a folder, last one first, those of folders with a `/` at the end.

    With it they sort to where the paths of their files belong: `a-b` comes before `a/x`.
    """
    prefix = f"{folder}/" if folder else ""
    with os.scandir(os.path.join(root, folder)) as entries:
        paths = [
            f"{prefix}{entry.name}/" if entry.is_dir(follow_symlinks=False) else f"{prefix}{entry.name}"
            for entry in entries
        ]
    paths.sort(key=os.fsencode, reverse=True)
    return paths


def _is_passed_over(path: str, exclude: Sequence[Glob]) -> bool:
    name = path.rpartition("/")[2]
    return (
        name.startswith(".")
        or any(glob.matches(name) for glob in _OWN_FILES)
        or any(glob.matches(path) for glob in exclude)
    )


def _sighting(root: str, path: str, purposes: PurposeMap) -> Sighting:
    full = os.path.join(root, path)
    purpose = purposes.purpose_of(path)
    try:
        status = os.lstat(full)
        is_link = stat.S_ISLNK(status.st_mode)
        if is_link:
            status = os.stat(full)
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
        return Skipped(path=path, reason=why, may_be_data=purpose is not None)
    reason = _unusable(root, full, status, is_link=is_link)
    if reason is not None:
        return Skipped(path=path, reason=reason)
    if purpose is None:
        return Unmatched(path=path)
    is_readable = os.access(full, os.R_OK, effective_ids=_ACCESS_AS_EFFECTIVE_USER)
    return Chosen(path=path, purpose=purpose, file_bytes=status.st_size, is_readable=is_readable)


def _unusable(root: str, full: str, status: os.stat_result, *, is_link: bool) -> str | None:
    """Return why something is skipped, None for a file that can be uploaded from here."""
    if is_link and stat.S_ISDIR(status.st_mode):
        return "is a symbolic link to a folder"
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if is_link and not is_beneath(os.path.realpath(full), root):
        return "is a symbolic link that leads outside the folder"
    return None
