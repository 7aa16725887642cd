"""What a conversion did, as lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulk_upload.core.convert.converter import Tally


class Converted(Protocol):
    """What is said of a conversion."""

    @property
    def path(self) -> str:
        """The original."""

    @property
    def output(self) -> str | None:
        """Where the lines went."""

    @property
    def left(self) -> str | None:
        """Where the records went that were not converted."""

    @property
    def tally(self) -> Tally:
        """The counts."""

    @property
    def mended(self) -> tuple[str, ...]:
        """What was done to the file as a whole."""


def summary_lines(made: Converted) -> Iterator[str]:
    """Return what was written, what was changed, what was left out, and what was left."""
    tally = made.tally
    written = tally.kept + tally.converted.total()
    where = "nothing was written" if made.output is None else made.output
    yield f"{made.path}: {_many(tally.record_count - tally.blank, 'record')} -> {where} ({_many(written, 'line')})"
    if tally.kept:
        yield f"  as they were: {tally.kept:,}"
    for line in _counted("converted from", tally.converted):
        yield line
    for one in made.mended:
        yield f"  read from: {one}"
    for line in _counted("mended", tally.repaired):
        yield line
    for line in _counted("lost, no place in the purpose", tally.lost):
        yield line
    for line in _counted("left out because empty", tally.empty):
        yield line
    if tally.left:
        place = "; they stay in the original" if made.left is None else f": {made.left}"
        yield f"  not converted: {_many(tally.left, 'record')}{place}"
        if made.left is not None:
            yield f"  why, line by line: {made.left}.reasons.jsonl"


def _counted(what: str, counts: Mapping[str, int]) -> Iterator[str]:
    for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
        yield f"  {what}: {name} ({count:,})"


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
