"""Walks a folder: its files in the order of their paths.

One folder's names are in memory at a time, and those of the folders above it; never the whole tree.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.folder.sightings import PassedOver, Skipped
from bulk_upload.core.manifest.paths import is_beneath
from bulk_upload.core.text.wording import quoted
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bulk_upload.core.folder.selection import Selection
    from bulk_upload.edge.folder.place import FolderPlace

_ACCESS_AS_EFFECTIVE_USER = os.access in os.supports_effective_ids


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A regular file; `path` is relative to the root.

    `is_readable` says whether this user may read it; a run asks again.
    """

    path: str
    file_bytes: int
    is_readable: bool


def walk(
    place: FolderPlace,
    selection: Selection,
    *,
    output: str | None = None,
    follow_symlinks: bool = False,
) -> Iterator[Found | Skipped | PassedOver]:
    """Yield the files of a folder and of the folders in it, sorted by the bytes of their paths.

    Hidden files and folders, and what is not selected, are passed over; such a folder is not entered. `output` is left out
    without a word. What `place` names is never passed over for being hidden. Symbolic links to folders are not entered
    either, and links to files count only if these lie in the folder, unless `follow_symlinks`.

    Raises:
        UsageError: the folder cannot be read.
    """
    root = place.root
    if place.is_whole:
        try:
            waiting = [_sorted_paths(root, "")]
        except OSError as error:
            raise UsageError(
                f"cannot scan {quoted(root)}: {error.strerror}", hint="Name a folder that this user may read"
            ) from error
    else:
        waiting = [_in_order(_marked(root, path) for path in place.within)]
    named = frozenset(place.within)
    output_path = os.path.realpath(output) if output is not None else None
    while waiting:
        if not waiting[-1]:
            waiting.pop()
            continue
        path = waiting[-1].pop()
        is_folder = path.endswith("/")
        path = path.removesuffix("/")
        if output_path is not None and os.path.join(root, path) == output_path:
            continue
        if path.rpartition("/")[2].startswith(".") and path not in named:
            yield PassedOver(path=path)
        elif not (selection.enters(path) if is_folder else selection.takes(path)):
            yield PassedOver(path=path, is_unwanted=True)
        elif not is_folder:
            yield _sighting(root, path, selection, may_leave=follow_symlinks)
        else:
            try:
                waiting.append(_sorted_paths(root, path))
            except OSError as error:
                yield Skipped(path=path, reason=f"cannot be read: {error.strerror}", may_be_data=True)


def _sorted_paths(root: str, folder: str) -> list[str]:
    """Return the paths in a folder, last one first, those of folders with a `/` at the end."""
    prefix = f"{folder}/" if folder else ""
    with os.scandir(os.path.join(root, folder)) as entries:
        return _in_order(
            f"{prefix}{entry.name}/" if entry.is_dir(follow_symlinks=False) else f"{prefix}{entry.name}"
            for entry in entries
        )


def _in_order(paths: Iterable[str]) -> list[str]:
    """Return paths, last one first. With the `/` folders sort to where their files belong: `a-b` comes before `a/x`."""
    return sorted(paths, key=os.fsencode, reverse=True)


def _marked(root: str, path: str) -> str:
    return f"{path}/" if os.path.isdir(os.path.join(root, path)) else path


def _sighting(root: str, path: str, selection: Selection, *, may_leave: bool) -> Found | Skipped | PassedOver:
    full = os.path.join(root, path)
    try:
        status = os.lstat(full)
        is_link = stat.S_ISLNK(status.st_mode)
        if is_link:
            status = os.stat(full)
    except OSError as error:
        return Skipped(path=path, reason=f"cannot be read: {error.strerror}", may_be_data=True)
    reason = _unusable(root, full, status, is_link=is_link, may_leave=may_leave)
    if reason is not None:
        return Skipped(path=path, reason=reason)
    if not selection.is_new(status.st_mtime_ns):
        return PassedOver(path=path, is_unwanted=True)
    is_readable = os.access(full, os.R_OK, effective_ids=_ACCESS_AS_EFFECTIVE_USER)
    return Found(path=path, file_bytes=status.st_size, is_readable=is_readable)


def _unusable(root: str, full: str, status: os.stat_result, *, is_link: bool, may_leave: bool) -> str | None:
    """Return why something is skipped, None for a file that can be uploaded from here."""
    if is_link and stat.S_ISDIR(status.st_mode):
        return "is a symbolic link to a folder"
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if is_link and not may_leave and not is_beneath(os.path.realpath(full), root):
        return "is a symbolic link that leads outside the folder"
    return None
