"""What packing takes and writes is on this machine: checked before anything else."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bulk_upload.core.manifest.paths import PathComplaint, relative_path
from bulk_upload.core.objects.address import is_address
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.pack import NoRoom
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def require_folder_here(output: str) -> None:
    """Raise UsageError where the address of objects stands in the place of a folder: a folder of that name would be
    made here, and be taken for the store."""
    if is_address(output):
        raise UsageError(
            "-o is the address of objects, and files are written on this machine only",
            hint="name a folder with -o; the store's own tools copy it",
        )


def require_manifest_here(manifest: str) -> None:
    """Raise UsageError where the address of objects stands in the place of a manifest."""
    if is_address(manifest):
        raise UsageError(
            f"{printable(manifest)} is the address of objects, and packs are made of files on this machine",
            hint="download the files, or mount them, and name their manifest",
        )


def require_usable(output: str, paths: Sequence[str], *, private: bool) -> None:
    """Make the folder that files of these paths are to be written to. Raises UsageError where they cannot be."""
    _require_inside(output, paths)
    _require_writable(output, private=private)


def _require_writable(output: str, *, private: bool) -> None:
    """Make a folder, and raise UsageError where no file can be made in it: once, and not for each file."""
    try:
        os.makedirs(output, mode=0o700 if private else 0o777, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise _unwritable(output, error) from None


@contextmanager
def writing_to(output: str | None) -> Iterator[None]:
    """Raise UsageError where there is no room for more files."""
    try:
        yield
    except NoRoom as error:
        raise _unwritable(output or "", error) from None


def _unwritable(output: str, error: OSError) -> UsageError:
    return UsageError(
        f"nothing can be written to {printable(output)}: {error.strerror or type(error).__name__}",
        hint="name another folder with -o, or free some space",
    )


def _require_inside(target: str, paths: Sequence[str]) -> None:
    root = os.path.realpath(target)
    outside = next(
        (
            one
            for one in paths
            if isinstance(relative_path(one, root=root, allow_outside=False), PathComplaint)
        ),
        None,
    )
    if outside is not None:
        raise UsageError(
            f"{printable(outside)} would be written outside {printable(target)}",
            hint="unpack without -o proves the packs; files outside the manifest's root are not written",
        )
