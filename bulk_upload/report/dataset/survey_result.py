"""What a survey of data found, in all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.dataset.comparison import Comparison  # noqa: TC001
from bulk_upload.core.dataset.statistics import Statistics  # noqa: TC001

if TYPE_CHECKING:
    from bulk_upload.core.dataset.comparison import Place, Repeat

EXAMPLES_MAX = 10


class SurveyResult(msgspec.Struct, frozen=True, kw_only=True):
    """The statistics by purpose, and what was compared.

    Args:
        statistics: empty where none were asked for.
        max_tokens: the user's limit, None without one.
        comparison: None where nothing was compared.
        compared_count: examples that were compared.
        paths: of the files, by their numbers.
        group_names: in the order they were named in.
        group_example_counts: compared examples by group.
    """

    statistics: dict[str, Statistics]
    max_tokens: int | None = None
    comparison: Comparison | None = None
    compared_count: int = 0
    paths: list[str] = msgspec.field(default_factory=list)
    group_names: tuple[str, ...] = ()
    group_example_counts: dict[int, int] = msgspec.field(default_factory=dict)

    def repeats(self) -> list[Repeat]:
        """Return the first examples that are the same as one of their group, in the order of files."""
        if self.comparison is None:
            return []
        return sorted([*self.comparison.within.first(), *self.comparison.across.first()])[:EXAMPLES_MAX]

    def place(self, place: Place) -> str:
        """Return a place as `file:line`."""
        return f"{self.paths[place.file_no]}:{place.line_no}"

    def overlaps(self) -> list[tuple[int, int, int, int]]:
        """Return each group and one before it, how many of its examples that has, and how many more prompts."""
        if self.comparison is None:
            return []
        found = []
        for later in range(1, len(self.group_names)):
            for earlier in range(later):
                overlap = self.comparison.overlaps.get((earlier, later))
                counts = (0, 0) if overlap is None else (overlap.example_count, overlap.prompt_count)
                found.append((later, earlier, *counts))
        return found
