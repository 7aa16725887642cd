"""The files that are sent: real bytes, made once, kept in the cache and read before each measurement.

They are JSON Lines of random chat messages, as a fine-tuning job has them, so that whoever checks a file before
sending it finds nothing wrong.
"""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from measuring.cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KIB, MIB, GIB = 2**10, 2**20, 2**30
PURPOSE = "fine-tune"

_VERSION = 1
_LINE_BYTES = KIB
_LINE_HEAD = b'{"messages":[{"role":"user","content":"'
_LINE_MIDDLE = b'"},{"role":"assistant","content":"'
_LINE_TAIL = b'"}]}\n'
_CONTENT_BYTES = _LINE_BYTES - len(_LINE_HEAD) - len(_LINE_MIDDLE) - len(_LINE_TAIL)
_ANSWER_BYTES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSet:
    """Files in one folder. `listing` has their paths, one a line; `manifest` names them for bulk-upload.

    `name_sum` is that of the files' names, as the sink counts it.
    """

    folder: str
    count: int
    total_bytes: int
    name_sum: int

    @property
    def listing(self) -> str:
        """A text file with the path of each file."""
        return os.path.join(self.folder, "files.txt")

    @property
    def manifest(self) -> str:
        """The manifest with all files; its paths start from `root`."""
        return os.path.join(self.folder, "manifest.jsonl")

    @property
    def root(self) -> str:
        """The folder with the files alone."""
        return os.path.join(self.folder, "files")

    def paths(self) -> list[str]:
        """Return the paths of all files."""
        with open(self.listing, encoding="utf-8") as listing:
            return listing.read().splitlines()

    def warm(self) -> None:
        """Read every file, so that nobody who is measured waits for the disk."""
        for path in self.paths():
            with open(path, "rb", buffering=0) as file:
                while file.read(MIB):
                    pass


def equal_files(count: int, size_bytes: int) -> FileSet:
    """Return `count` files of one size."""
    return _file_set(f"{count}x{size_bytes}", [size_bytes] * count)


def mixed_files(count: int, *, largest_bytes: int = 200 * MIB) -> FileSet:
    """Return files of log-normal sizes (median 100 KiB, sigma 2), and a large one among them."""
    chance = random.Random(count)
    sizes = [min(max(int(chance.lognormvariate(11.54, 2.0)), KIB), 64 * MIB) for _ in range(count - 1)]
    sizes.insert(count // 2, largest_bytes)
    return _file_set(f"mixed-{count}-{largest_bytes}", sizes)


def _file_set(name: str, sizes: Sequence[int]) -> FileSet:
    folder = os.path.join(cache_folder(), f"files-{name}-v{_VERSION}")
    summary = os.path.join(folder, "summary.json")
    if not os.path.exists(summary):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(os.path.join(folder, "files"))
        made = _make(FileSet(folder=folder, count=0, total_bytes=0, name_sum=0), sizes)
        with open(summary, "w", encoding="utf-8") as file:
            json.dump(made, file)
    with open(summary, encoding="utf-8") as file:
        return FileSet(folder=folder, **json.load(file))


def _make(file_set: FileSet, sizes: Sequence[int]) -> dict[str, int]:
    chance = random.Random(len(sizes))
    names = [f"document-{number:06}.jsonl" for number in range(len(sizes))]
    with (
        open(file_set.listing, "w", encoding="utf-8") as listing,
        open(file_set.manifest, "w", encoding="utf-8") as manifest,
    ):
        for name, size in zip(names, sizes, strict=True):
            path = os.path.join(file_set.root, name)
            with open(path, "wb") as file:
                file.writelines(_blocks(size, chance))
            listing.write(path + "\n")
            manifest.write(json.dumps({"path": name, "purpose": PURPOSE}) + "\n")
    return {"count": len(names), "total_bytes": sum(sizes), "name_sum": name_sum(names)}


def _blocks(size: int, chance: random.Random) -> Iterator[bytes]:
    """Yield lines of 1 KiB, the last of them longer by what is left over."""
    whole, rest = divmod(size, _LINE_BYTES)
    while whole > 1:
        count = min(whole - 1, KIB)
        yield b"".join(_lines(count, chance))
        whole -= count
    yield _line(_text(_CONTENT_BYTES + rest, chance))


def _lines(count: int, chance: random.Random) -> Iterator[bytes]:
    text = _text(count * _CONTENT_BYTES, chance)
    for start in range(0, len(text), _CONTENT_BYTES):
        yield _line(text[start : start + _CONTENT_BYTES])


def _line(text: bytes) -> bytes:
    return b"".join((_LINE_HEAD, text[:-_ANSWER_BYTES], _LINE_MIDDLE, text[-_ANSWER_BYTES:], _LINE_TAIL))


def _text(count: int, chance: random.Random) -> bytes:
    return base64.b64encode(chance.randbytes(count * 3 // 4 + 3))[:count]


def name_sum(names: list[str]) -> int:
    """Return the sum of the names' FNV-1a hashes: that of a list in any order, but of no other."""
    total = 0
    for name in names:
        value = 14695981039346656037
        for byte in name.encode():
            value = (value ^ byte) * 1099511628211 % 2**64
        total += value
    return total % 2**64
