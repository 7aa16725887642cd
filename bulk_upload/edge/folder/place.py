"""Where the files of a job lie: one folder, or files and folders beneath one."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.manifest.paths import is_beneath
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.core.text.wording import quoted
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


class FolderPlace(msgspec.Struct, frozen=True, kw_only=True):
    """The folder that paths are relative to, without symbolic links; `within` names the parts of it that are meant.

    Every spelling of a folder gives the same root, from any current folder: the root identifies a job. An empty `within`
    is the whole folder.
    """

    root: str
    within: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the whole folder is meant."""
        return not self.within


def place_of(paths: Sequence[str]) -> FolderPlace:
    """Return where these files and folders lie. One folder is the root itself; otherwise it is the folder that holds all.

    Raises:
        UsageError: one of them does not exist, or is neither a file nor a folder.
    """
    folders: list[str] = []
    files: list[str] = []
    for path in paths:
        is_directory = _is_directory(path)
        # Links to files stay: what they point to may be outside.
        folder = os.path.realpath(path if is_directory else os.path.dirname(path) or ".")
        if is_directory:
            folders.append(folder)
        else:
            files.append(os.path.join(folder, os.path.basename(path)))
    root = os.path.commonpath([*folders, *map(os.path.dirname, files)])
    if root in folders:
        return FolderPlace(root=root)
    outermost = [
        one for one in dict.fromkeys(folders) if not any(is_beneath(one, other) for other in folders)
    ]
    alone = [one for one in dict.fromkeys(files) if not any(is_beneath(one, folder) for folder in outermost)]
    within = [os.path.relpath(one, root) for one in (*outermost, *alone)]
    return FolderPlace(root=root, within=tuple(sorted(within, key=os.fsencode)))


def is_folder(path: str) -> bool:
    """Whether a path names a folder."""
    try:
        return os.path.isdir(path)
    except ValueError:
        return False


def _is_directory(path: str) -> bool:
    try:
        # The folder of an empty name would be the current one, which was not requested.
        mode = os.stat(path).st_mode if path else None
    except OSError as error:
        hint = "check the name; paths start from the current folder"
        if path in PURPOSES:
            hint = f"for a purpose write --purpose {path}"
        raise UsageError(f"cannot upload {quoted(path)}: {error.strerror}", hint=hint) from None
    except ValueError:
        mode = None
    if mode is None or not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise UsageError(
            f"cannot upload {quoted(path)}: it is neither a file nor a folder",
            hint="name files and folders; `bulk-upload run -` reads a manifest from standard input",
        )
    return stat.S_ISDIR(mode)
