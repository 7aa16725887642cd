"""Files whose purpose cannot be told, in groups that one answer or one option settles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.purposes import suffix_of

if TYPE_CHECKING:
    from bulk_upload.core.folder.sightings import Undecided

GROUPS_MAX = 40
"""Groups beyond this many become one: a screen shows no more, and memory must not grow with the folder."""

PATTERNS_MAX = 8
"""So many files are named in options of their own, where no pattern has exactly the group's files."""

_GLOB_CHARACTERS = "*?["
_GITIGNORE_CHARACTERS = "*?[\\"


class FilePattern(msgspec.Struct, frozen=True):
    """A pattern for the same files in the two languages of patterns: of `--map`, and of `--exclude`."""

    mapped: str
    excluded: str


class UndecidedGroup(msgspec.Struct, kw_only=True):
    """Files with one suffix, one guess and one reason. `number` is its place in the order of first sighting.

    `convert_to` names the purposes that all of them can be converted for. `within` has what patterns match, of the examples.
    """

    number: int
    suffix: str
    guess: str | None
    reason: str
    count: int = 0
    file_bytes: int = 0
    examples: list[str] = msgspec.field(default_factory=list)
    within: list[str] = msgspec.field(default_factory=list)
    convert_to: tuple[str, ...] = ()


class UndecidedFiles:
    """Groups the files whose purpose cannot be told."""

    def __init__(self) -> None:
        self.groups: list[UndecidedGroup] = []
        self._by_kind: dict[tuple[str, str | None, str], UndecidedGroup] = {}
        self._other: UndecidedGroup | None = None
        self._decided: set[str] = set()

    def add(self, one: Undecided) -> int:
        """Add a file; return the number of its group."""
        suffix = suffix_of(one.path)
        kind = (suffix, one.guess, one.reason)
        group = self._by_kind.get(kind)
        if group is None:
            group = self._new_group(*kind)
            if group is not self._other:
                group.convert_to = one.convert_to
        group.convert_to = tuple(name for name in group.convert_to if name in one.convert_to)
        group.count += 1
        group.file_bytes += one.file_bytes
        if len(group.examples) < PATTERNS_MAX:
            group.examples.append(one.path)
            group.within.append(one.path if one.within is None else one.within)
        return group.number

    def note_decided(self, path: str) -> None:
        """Note that another file with this suffix has a purpose: no option may change that."""
        self._decided.add(suffix_of(path))

    @property
    def count(self) -> int:
        """How many files there are in all."""
        return sum(one.count for one in self.groups)

    def patterns(self, group: UndecidedGroup) -> list[FilePattern]:
        """Return patterns that together match the files of a group and no others; nothing where there are too many."""
        shared = sum(one.suffix == group.suffix for one in self.groups) > 1
        if group.suffix and group.suffix not in self._decided and not shared and group is not self._other:
            return [pattern_of("*", group.suffix)]
        if group.count > len(group.examples):
            return []
        # With a slash in front no name is taken for an exception or a comment.
        return [pattern_of("/", path) for path in group.within]

    def _new_group(self, suffix: str, guess: str | None, reason: str) -> UndecidedGroup:
        if len(self.groups) >= GROUPS_MAX:
            if self._other is None:
                self._other = UndecidedGroup(
                    number=len(self.groups), suffix="", guess=None, reason="other reasons"
                )
                self.groups.append(self._other)
            return self._other
        group = UndecidedGroup(number=len(self.groups), suffix=suffix, guess=guess, reason=reason)
        self._by_kind[suffix, guess, reason] = group
        self.groups.append(group)
        return group


def pattern_of(start: str, text: str) -> FilePattern:
    """Return the pattern that begins with `start`, and then matches `text` and nothing else."""
    return FilePattern(
        mapped=start + "".join(f"[{one}]" if one in _GLOB_CHARACTERS else one for one in text),
        excluded=start + "".join(_for_gitignore(one) for one in text),
    )


def _for_gitignore(character: str) -> str:
    if character in _GITIGNORE_CHARACTERS:
        return f"\\{character}"
    # White space at the end would be dropped.
    return f"[{character}]" if character.isspace() else character
