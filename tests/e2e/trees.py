"""Trees of files to upload: odd names, twins, sizes around every border, and the manifest that names them."""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass
from pathlib import Path

KIB = 1024
MIB = 1024 * 1024

BORDER_SIZES = (
    0,
    1,
    255,
    4 * KIB,
    256 * KIB - 1,
    256 * KIB,
    256 * KIB + 1,
    MIB - 1,
    MIB,
    MIB + 1,
    2 * MIB + 1000,
)
"""Empty, tiny, and around the sizes at which reading or sending changes its ways."""

ODD_NAMES = tuple(
    os.fsencode(name) if isinstance(name, str) else name
    for name in (
        "with space.txt",
        " space at both ends ",
        'double"quote".txt',
        "single'quote.txt",
        "emoji 🙂🚀.txt",
        "accent caf\u00e9.txt",
        "accent in two pieces cafe\u0301.txt",
        ".hidden.txt",
        "...",
        "-rf.txt",
        "--results",
        "two\nlines.txt",
        "return\rhere.txt",
        "tab\there.txt",
        "bell\x07 and \x1b[31mred.txt",
        "delete\x7f and \u0085.txt",
        "back\\slash.txt",
        "C:\\folder\\a.txt",
        "ends with backslash\\",
        b"latin-1 caf\xe9.txt",
        b"\xff\xfe\x80 no text at all",
        "長" * 70 + ".txt",
        "x" * 240 + ".txt",
        "🙂" * 60,
        "percent%20and%2F.txt",
        "; rm -rf $(nothing) `x` | &.txt",
        "star * and question ?.txt",
        "=1+1",
        "@formula",
        "from right \u202e txt.exe",
        "line separator \u2028.txt",
        "no break\u00a0space.txt",
        "zero width\u200bspace.txt",
        "name=filename; filename=other.txt",
        "--boundary.txt",
        "#hash?query=1.txt",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Files beneath `folder`; `paths` are relative to it, as bytes, in the order of the manifest."""

    folder: Path
    paths: tuple[bytes, ...]

    def full(self, path: bytes) -> bytes:
        """Return where a file lies."""
        return os.path.join(os.fsencode(self.folder), path)


def mixed_tree(
    folder: Path, *, count: int, seed: int, sizes: tuple[int, ...], large: tuple[int, ...]
) -> Tree:
    """Make `count` files: odd names, twins, one file of every size in `large`, the rest of random `sizes`.

    A fifth are twins: one base name in many folders, with equal sizes, equal contents or different sizes.
    """
    chance = random.Random(seed)
    contents: dict[bytes, bytes] = {}
    for index, size in enumerate(large):
        contents[b"large/%03d.txt" % index] = chance.randbytes(size)
    for index, name in enumerate(ODD_NAMES):
        contents[b"odd %d/%s" % (index % 5, name)] = chance.randbytes(chance.choice((0, 1, 700, 9000)))
    same = chance.randbytes(3000)
    for index in range(count // 15):
        contents[b"shard %d/same size.txt" % index] = chance.randbytes(2000)
        contents[b"shard %d/same content.txt" % index] = same
        contents[b"shard %d/other size.txt" % index] = chance.randbytes(100 + index)
    for index in range(count - len(contents)):
        contents[b"plain/%d/%05d.txt" % (index % 7, index)] = chance.randbytes(chance.choice(sizes))
    paths = list(contents)
    chance.shuffle(paths)
    return written(folder, {path: contents[path] for path in paths})


def plain_tree(folder: Path, *, count: int, size: int, seed: int = 1) -> Tree:
    """Make `count` files of one size with different contents."""
    chance = random.Random(seed)
    return written(folder, {b"%05d.txt" % index: chance.randbytes(size) for index in range(count)})


def written(folder: Path, contents: dict[bytes, bytes]) -> Tree:
    """Write files with these contents beneath `folder`."""
    for path, content in contents.items():
        full = os.path.join(os.fsencode(folder), path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(content)
    return Tree(folder=folder, paths=tuple(contents))


def write_manifest(manifest: Path, tree: Tree, *, purpose: str = "alignment") -> None:
    """Write a JSONL manifest of a tree, with paths relative to the manifest's folder."""
    base = os.fsencode(manifest.parent)
    with open(manifest, "w", encoding="ascii") as file:
        for path in tree.paths:
            relative = os.path.relpath(tree.full(path), base)
            file.write(json.dumps({"path": os.fsdecode(relative), "purpose": purpose}) + "\n")
