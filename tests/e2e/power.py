"""What a disk holds after a power cut: everything that was synced, and of the rest whatever it pleases."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.e2e.disk import FOLDER, SHARED, Note

SECTOR_BYTES = 512


@dataclass(slots=True)
class _File:
    """`kept` is safe; `loose` changes were made since the last sync; those in `lost` met a sync that failed."""

    kept: bytearray = field(default_factory=bytearray)
    loose: list[Note] = field(default_factory=list)
    lost: list[Note] = field(default_factory=list)


class PowerCut:
    """Follows the notes of one process up to their end, where the power is cut.

    Stricter than the file systems in use: each file's creation and removal is safe only once its folder was synced,
    whatever was synced of the file itself, and what met a failed sync may be gone although the next one succeeds.
    """

    def __init__(self, before: dict[int, bytes], chance: random.Random) -> None:
        self._chance = chance
        self._files: dict[int, _File] = {}
        # What each name may mean after the cut; the last is what it means to the process.
        self._meanings: dict[int, list[_File | None]] = {
            name: [_File(bytearray(data))] for name, data in before.items()
        }
        self.counts: dict[str, int] = dict.fromkeys(("kept", "dropped", "torn", "entries lost"), 0)

    def follow(self, notes: Iterable[Note]) -> None:
        """Take notes in."""
        for note in notes:
            opens_folder = note.name == FOLDER and note.kind == "o"
            if note.name != SHARED and not opens_folder:
                self._take(note)

    def contents(self) -> dict[int, bytes]:
        """Return the files that are found when the power is back, by name."""
        found: dict[int, bytes] = {}
        for name, meanings in self._meanings.items():
            # Directory entries reach a disk in order, but nobody knows how far that had come.
            meaning = self._chance.choice(meanings) if self._chance.random() < 0.5 else meanings[-1]
            self.counts["entries lost"] += meaning is not meanings[-1]
            if meaning is not None:
                found[name] = self._settled(meaning)
        return found

    def _take(self, note: Note) -> None:
        match note.kind:
            case "o":
                file = self._meanings[note.name][-1]
                if file is None:
                    raise AssertionError("opened a file that was removed")
                self._files[note.file] = file
            case "c":
                self._files[note.file] = _File()
                self._meanings.setdefault(note.name, [None]).append(self._files[note.file])
            case "l":
                self._meanings.setdefault(note.name, [None]).append(self._files[note.file])
            case "u":
                self._meanings[note.name].append(None)
            case "w" | "t":
                self._files[note.file].loose.append(note)
            case "s":
                self._sync(self._files[note.file])
            case "x" if note.name != FOLDER:
                file = self._files[note.file]
                file.lost += file.loose
            case "d":
                self._meanings = {name: meanings[-1:] for name, meanings in self._meanings.items()}
            case "f" | "x":
                pass
            case _:
                raise AssertionError(f"a change that the model does not know: {note.kind}")

    def _sync(self, file: _File) -> None:
        for note in file.loose:
            self._apply(file.kept, note, surely=not any(note is one for one in file.lost))
        file.loose.clear()
        file.lost.clear()

    def _settled(self, file: _File) -> bytes:
        content = bytearray(file.kept)
        # Up to a point all of it had arrived, as on most disks in most moments; what comes after is a mixture.
        point = self._chance.choice((0, self._chance.randint(0, len(file.loose)), len(file.loose)))
        mixed = self._chance.random() < 0.5
        for number, note in enumerate(file.loose):
            if number < point or mixed:
                self._apply(content, note, surely=number < point)
            else:
                self.counts["dropped"] += 1
        return bytes(content)

    def _apply(self, content: bytearray, note: Note, *, surely: bool) -> None:
        fate = "kept" if surely else self._chance.choice(("kept", "dropped", "torn"))
        if not surely:
            self.counts[fate] += 1
        if fate == "dropped" or (note.kind == "t" and fate == "torn"):
            return
        if note.kind == "t":
            _resize(content, note.offset)
            return
        start, end = note.offset, note.offset + len(note.data)
        while start < end:
            border = min((start // SECTOR_BYTES + 1) * SECTOR_BYTES, end)
            if fate == "kept" or self._chance.random() < 0.5:
                _resize(content, max(len(content), border))
                content[start:border] = note.data[start - note.offset : border - note.offset]
            start = border


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))
