"""Patterns that choose files by name, and the map from pattern to purpose."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.purposes import PURPOSES, purpose_remedy, unknown_purpose
from bulk_upload.core.text.wording import quoted
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ANY_FOLDERS = "**"


class Glob(msgspec.Struct, frozen=True):
    """A pattern for relative paths.

    Without `/` it matches the base name, in any folder; with `/` the whole relative path. `*`, `?` and `[...]`
    stay within one name, `**` matches any number of folders, including none. A leading `/` anchors a base name to
    the root; `folder/` is short for `folder/**`, everything in it.

    Raises:
        UsageError: the pattern is empty.
    """

    pattern: str

    def __post_init__(self) -> None:
        if not _names_of(self.pattern):
            hint = "Write a pattern such as *.jsonl or corpus/**"
            raise UsageError(f"{quoted(self.pattern)} is not a pattern", hint=hint)

    def matches(self, path: str) -> bool:
        """Whether the pattern matches a relative, normalised path."""
        names = path.split("/")
        parts = _parts_of(self.pattern)
        at_name = at_part = 0
        retry: tuple[int, int] | None = None
        while at_name < len(names):
            accepts = parts[at_part] if at_part < len(parts) else _nothing
            if accepts is None:
                # First match ** with no folder; whenever that fails, with one more.
                at_part += 1
                retry = at_name, at_part
            elif accepts(names[at_name]):
                at_name += 1
                at_part += 1
            elif retry is None:
                return False
            else:
                at_name, at_part = retry[0] + 1, retry[1]
                retry = at_name, at_part
        return at_part == len(parts)


class PurposeMap(msgspec.Struct, frozen=True, kw_only=True):
    """Which purpose a file gets: that of the first pattern that matches its path."""

    choices: tuple[tuple[Glob, str], ...]

    @classmethod
    def parse(
        cls,
        mappings: Sequence[str],
        *,
        known: tuple[str, ...] = tuple(PURPOSES),
        allow_unknown: bool = False,
    ) -> PurposeMap:
        """Return the map that `PATTERN=PURPOSE` texts describe.

        Raises:
            UsageError: a text has no `=` or an empty pattern, or its purpose is not one of `known`.
        """
        return cls(choices=tuple(_choice(mapping, () if allow_unknown else known) for mapping in mappings))

    def purpose_of(self, path: str) -> str | None:
        """Return the purpose of a file, None where no pattern matches."""
        return next((purpose for glob, purpose in self.choices if glob.matches(path)), None)


def _choice(mapping: str, known: tuple[str, ...]) -> tuple[Glob, str]:
    pattern, equals, purpose = mapping.rpartition("=")
    if not equals or not purpose:
        hint = f"Write PATTERN=PURPOSE. Known purposes: {', '.join(known or PURPOSES)}"
        raise UsageError(f"{quoted(mapping)} maps nothing to a purpose", hint=hint)
    if known and purpose not in known and pattern in known:
        raise UsageError(
            f"{quoted(mapping)} has the purpose first",
            hint=f"Write PATTERN=PURPOSE: {quoted(f'{purpose}={pattern}')}",
        )
    if known and purpose not in known:
        raise UsageError(unknown_purpose(purpose), hint=purpose_remedy(purpose, known))
    return Glob(pattern), purpose


def _names_of(pattern: str) -> list[str]:
    return [part for part in pattern.split("/") if part not in ("", ".")]


@lru_cache(maxsize=1024)
def _parts_of(pattern: str) -> tuple[Callable[[str], object] | None, ...]:
    parts = _names_of(pattern)
    if "/" not in pattern:
        parts.insert(0, _ANY_FOLDERS)
    elif pattern.endswith("/"):
        parts.append(_ANY_FOLDERS)
    if parts[-1] == _ANY_FOLDERS:
        parts.append("*")
    return tuple(map(_part_matcher, parts))


def _part_matcher(part: str) -> Callable[[str], object] | None:
    return None if part == _ANY_FOLDERS else re.compile(translate(part)).match


def _nothing(_name: str) -> object:
    return None
