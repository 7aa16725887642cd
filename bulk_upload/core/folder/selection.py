"""Which files of a folder are wanted: patterns as in a `.gitignore` file, and an age."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.text.wording import quoted
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pathspec import GitIgnoreSpec


class Selection:
    """Which files of a folder are wanted.

    The patterns are those of gitignore(5), relative to the folder: one without `/` matches a name in any folder, one with
    `/` at its start or within matches from the folder down, `folder/` is everything in such a folder, `**` any number of
    folders, and `!pattern` takes back an earlier pattern of the same option.

    Args:
        include: only files that these match, all where there are none.
        exclude: not these, whether or not they are included. A folder that is excluded is not entered.
        newer_than_ns: only files that were modified after this Unix time.

    Raises:
        UsageError: a pattern can match nothing.
    """

    def __init__(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        *,
        newer_than_ns: int | None = None,
    ) -> None:
        self._include = _spec("--include", include)
        self._exclude = _spec("--exclude", exclude)
        self._newer_than_ns = newer_than_ns

    @property
    def by_age(self) -> bool:
        """Whether the age of a file decides: what is not selected today is still part of the folder."""
        return self._newer_than_ns is not None

    def takes(self, path: str) -> bool:
        """Whether a file is wanted by its path, which is relative to the folder."""
        if self._exclude is not None and self._exclude.match_file(path):
            return False
        return self._include is None or bool(self._include.match_file(path))

    def enters(self, folder: str) -> bool:
        """Whether a folder may have files that are wanted."""
        return self._exclude is None or not self._exclude.match_file(f"{folder}/")

    def is_new(self, mtime_ns: int) -> bool:
        """Whether a file with this modification time is wanted."""
        return self._newer_than_ns is None or mtime_ns > self._newer_than_ns


def _spec(option: str, patterns: Sequence[str]) -> GitIgnoreSpec | None:
    if not patterns:
        return None
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - few folders have patterns

    for pattern in patterns:
        try:
            made = GitIgnoreSpec.from_lines([pattern])
        except ValueError:
            made = None
        if made is None or not any(one.include is not None for one in made.patterns):
            raise UsageError(
                f"{option} {quoted(pattern)} is not a pattern",
                hint="write one as in a .gitignore file, such as *.jsonl or corpus/; a leading # needs a backslash",
            )
    return GitIgnoreSpec.from_lines(patterns)
