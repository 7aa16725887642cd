"""Named groups of files that should have no example in common, such as training and evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.dataset.comparison import UNGROUPED
from bulk_upload.core.manifest.globs import Glob
from bulk_upload.core.text.wording import quoted
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_HINT = "write NAME=PATTERN, for two names at least: --group train='train/**' --group eval='eval/**'"


class Groups(msgspec.Struct, frozen=True):
    """The groups in the order they were named in, and which files each has."""

    names: tuple[str, ...]
    patterns: tuple[tuple[Glob, int], ...]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Groups:
        """Return the groups that `NAME=PATTERN` texts describe; a name may have several patterns.

        Raises:
            UsageError: a text is something else, or there is only one name.
        """
        names: list[str] = []
        patterns: list[tuple[Glob, int]] = []
        for text in texts:
            name, equals, pattern = text.partition("=")
            if not name or not equals:
                raise UsageError(f"{quoted(text)} is not a group", hint=_HINT)
            if name not in names:
                names.append(name)
            patterns.append((Glob(pattern), names.index(name)))
        if len(names) == 1:
            raise UsageError(f"only one group is named, {quoted(names[0])}", hint=_HINT)
        return cls(tuple(names), tuple(patterns))

    def group_of(self, path: str) -> int:
        """Return the number of a file's group, that of the first pattern that matches its path; `UNGROUPED` without one."""
        wanted = path.removeprefix("./").lstrip("/")
        return next((number for glob, number in self.patterns if glob.matches(wanted)), UNGROUPED)


NO_GROUPS = Groups((), ())
