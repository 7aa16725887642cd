"""What is advised for files whose purpose cannot be told: commands that work, and options that match no other file."""

from __future__ import annotations

import pytest

from bulk_upload.cli.folder.left_out import options_for
from bulk_upload.core.folder.left_out import UndecidedFiles
from bulk_upload.core.folder.likeness import SEVERAL_PURPOSES
from bulk_upload.core.folder.sightings import Undecided


def advice(reason: str, *paths: str) -> str:
    """What is advised for one group of files."""
    files = UndecidedFiles()
    for path in paths:
        files.add(Undecided(path=path, reason=reason, guess=None, file_bytes=10))
    (group,) = files.groups
    return options_for(files, group, root="data")


@pytest.mark.parametrize(
    ("paths", "command"),
    [
        (["an a.jsonl.gz", "b.jsonl.gz"], "run gunzip -k 'data/an a.jsonl.gz' data/b.jsonl.gz"),
        (["a.jsonl.gz"] * 4, "run gunzip -k FILE..."),
        (["a.jsonl.xz"], "run unxz -k data/a.jsonl.xz"),
        (["a.tar.7z"], "unpack it"),
        (["a"], "unpack it"),
    ],
)
def test_packed_files_are_named_with_the_command(paths: list[str], command: str) -> None:
    """Names are quoted for a shell; where no command is known for the suffix, none is made up."""
    told, _, option = advice("gzip", *paths).partition(", and add --exclude ")
    assert (told, bool(option)) == (command, True)


def test_mixtures_are_left_out_by_their_names() -> None:
    """What they are split into has their suffix: no pattern may match it."""
    mixed = f"{SEVERAL_PURPOSES}: fine-tune and pre-train"
    assert advice(mixed, "a.jsonl", "b.jsonl").endswith("add --exclude /a.jsonl --exclude /b.jsonl")
    assert advice(mixed, *"abcd").endswith("add --exclude FILE for each, as in --exclude /a")
