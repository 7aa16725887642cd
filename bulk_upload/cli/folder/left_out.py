"""Names the files whose purpose cannot be told, each group with the options that settle it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bulk_upload.core.folder.left_out import pattern_of
from bulk_upload.core.folder.likeness import EMPTY, NOT_TAKEN, SEVERAL_PURPOSES
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.core.text.shell_words import path_word, shell_word
from bulk_upload.core.validation.file_types import PACKED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bulk_upload.core.folder.left_out import UndecidedFiles, UndecidedGroup

_EXAMPLES_SHOWN = 3
_GROUPS_SHOWN = 12
_UNPACKING = {
    ".gz": "gunzip -k",
    ".bz2": "bunzip2 -k",
    ".xz": "unxz -k",
    ".zst": "unzstd -k",
    ".lz4": "unlz4 -m",
}
"""What unpacks files beside them, by their suffix: these programs take no others."""
_MADE_SUFFIX = ".jsonl"
"""Of what `convert` writes: an option for the files it was made from must not leave it out."""


def left_out_lines(files: UndecidedFiles, groups: Iterable[UndecidedGroup], *, root: str) -> Iterator[str]:
    """Yield what is left out for want of a purpose, and for each group what to do; nothing where there is none.

    Paths in `groups` are relative to `root`.
    """
    groups = sorted(groups, key=lambda one: -one.count)
    count = sum(one.count for one in groups)
    if not count:
        return
    yield f"bulk-upload: left out, for their purpose cannot be told: {count:,} {'file' if count == 1 else 'files'}"
    for group in groups[:_GROUPS_SHOWN]:
        yield f"  {group_words(group)}"
        yield f"    {options_for(files, group, root=root)}"
    if len(groups) > _GROUPS_SHOWN:
        rest = sum(one.count for one in groups[_GROUPS_SHOWN:])
        yield f"  and {rest:,} more, for {len(groups) - _GROUPS_SHOWN:,} other reasons"
    yield "  hint: --purpose PURPOSE gives one to every file that no --map pattern matches"


def group_words(group: UndecidedGroup) -> str:
    """Return what a group of files is: their number, a few names, and why their purpose cannot be told."""
    names = ", ".join(printable(path) for path in group.examples[:_EXAMPLES_SHOWN])
    more = ", …" if group.count > _EXAMPLES_SHOWN else ""
    if group.count == 1:
        return f"{names}: {printable(group.reason)}"
    kind = f"{printable(group.suffix)} files" if group.suffix else "files"
    return (
        f"{group.count:,} {kind} ({human_bytes(group.file_bytes)}): {printable(group.reason)} ({names}{more})"
    )


def options_for(files: UndecidedFiles, group: UndecidedGroup, *, root: str) -> str:
    """Return the options that give a group its purpose, and those that leave it out; or what to do about its data first."""
    exclude = " ".join(answer_options(files, group, None)) or "--exclude PATTERN"
    if group.convert_to:
        return f"{_convert_words(group, root)}, and add {exclude}"
    what = "it" if group.count == 1 else "them"
    if group.reason == EMPTY:
        return f"write the data to {what}, or add {exclude}"
    if group.reason in PACKED:
        return f"{_unpack_words(group, root)}, and add {exclude}"
    if group.reason.startswith(SEVERAL_PURPOSES):
        # The new files have the old suffix, and may lie beside the old ones: a pattern would leave them out, too.
        named = [pattern_of("/", path).excluded for path in group.examples[:_EXAMPLES_SHOWN]]
        each = " ".join(f"--exclude {shell_word(one)}" for one in named)
        if group.count > len(named):
            each = f"--exclude FILE for each, as in --exclude {shell_word(named[0])}"
        return f"split {what} into a file for each purpose, and add {each}"
    if group.reason.endswith(NOT_TAKEN):
        return f"add {exclude}"
    purpose = group.guess or "PURPOSE"
    maps = answer_options(files, group, purpose)
    if not maps:
        return f"add --map 'PATTERN={purpose}' for them, or --exclude PATTERN"
    return f"add {' '.join(maps)}, or {exclude}"


def _unpack_words(group: UndecidedGroup, root: str) -> str:
    """Return the command that unpacks a group's files and keeps them, where one is known for their suffix."""
    command = _UNPACKING.get(group.suffix)
    if command is None:
        return f"unpack {'it' if group.count == 1 else 'them'}"
    named = group.count <= _EXAMPLES_SHOWN
    files = " ".join(_typed_path(root, path) for path in group.examples) if named else "FILE..."
    return f"run {command} {files}"


def _convert_words(group: UndecidedGroup, root: str) -> str:
    """Return the command that converts a group's file, or what converts each of several."""
    purpose = group.convert_to[0] if len(group.convert_to) == 1 else "PURPOSE"
    named = group.count <= _EXAMPLES_SHOWN
    files = " ".join(_typed_path(root, path) for path in group.examples) if named else "FILE..."
    command = f"bulk-upload convert {files} --purpose {shell_word(purpose)}"
    if len(group.convert_to) > 1:
        return f"run {command} (PURPOSE: {' or '.join(map(printable, group.convert_to))})"
    return f"run {command}"


def _typed_path(root: str, path: str) -> str:
    full = os.path.join(os.path.abspath(root), path)
    beneath = os.path.relpath(full)
    return path_word(full if beneath.startswith("../") else beneath)


def answer_options(files: UndecidedFiles, group: UndecidedGroup, purpose: str | None) -> list[str]:
    """Return the options that give a group a purpose, or leave it out; nothing where no patterns match just its files."""
    patterns = files.patterns(group)
    if purpose is None:
        excluded = [one.excluded for one in patterns]
        if excluded == [f"*{_MADE_SUFFIX}"] and any(one.convert_to for one in files.groups):
            excluded.append(f"!*.converted{_MADE_SUFFIX}")
        return [f"--exclude {shell_word(one)}" for one in excluded]
    return [f"--map {shell_word(f'{one.mapped}={purpose}')}" for one in patterns]
