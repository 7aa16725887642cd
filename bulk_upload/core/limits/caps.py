"""The limits a person sets for a run; all of them may change during the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.limits.timetable import rate_text

if TYPE_CHECKING:
    from bulk_upload.core.limits.timetable import Timetable

CONCURRENCY_MAX = 1024
"""The maximum of uploads in flight that a person may set."""

STARTS_PER_S_MAX = 1e6
STARTS_PER_S_MIN = 1 / 3600
BYTES_PER_S_MIN = 1000.0
"""With less, a single piece of a body would take minutes, longer than servers wait."""

BYTES_PER_S_MAX = 1e15
SPANS_MAX = 48

IN_FLIGHT_MAX = 256
"""The most uploads in flight that a run chooses on its own; a person may allow more."""


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """A person's limits. `None` means none.

    Args:
        concurrency: uploads in flight; None lets the run find the number.
        concurrency_max: never more in flight than this, found or given.
        starts_per_s: uploads started per second.
        bandwidth: bytes of bodies sent per second, by the time of day.
        paused: whether nothing may start at all.
    """

    concurrency: int | None = None
    concurrency_max: int | None = None
    starts_per_s: float | None = None
    bandwidth: Timetable | None = None
    paused: bool = False

    @property
    def in_flight_max(self) -> int:
        """How many uploads may ever be in flight."""
        limits = [one for one in (self.concurrency, self.concurrency_max) if one is not None]
        return min(limits, default=IN_FLIGHT_MAX)

    @property
    def capacity(self) -> int:
        """How many connections a run with these caps is made for: no later change exceeds that."""
        return max(IN_FLIGHT_MAX, self.concurrency or 0, self.concurrency_max or 0)

    @property
    def words(self) -> dict[str, str]:
        """Each cap as an option value, by the option's name."""
        return {
            "--concurrency": "auto" if self.concurrency is None else str(self.concurrency),
            "--max-concurrency": "off" if self.concurrency_max is None else str(self.concurrency_max),
            "--rate": rate_text(self.starts_per_s),
            "--bandwidth": "off" if self.bandwidth is None else str(self.bandwidth),
        }


class CapChange(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a person changed: `what` is an option, or `pause`."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        """For people: `--rate: off -> 5/s`, or `paused`."""
        return self.after if self.what == "pause" else f"{self.what}: {self.before} -> {self.after}"

    @property
    def decision(self) -> str:
        """As recorded next to the previous value: `--rate 5/s`, or `paused`."""
        return self.after if self.what == "pause" else f"{self.what} {self.after}"


def changes(before: Caps, after: Caps) -> list[CapChange]:
    """Return what is different, option by option."""
    new = after.words
    found = [
        CapChange(what=what, before=old, after=new[what])
        for what, old in before.words.items()
        if old != new[what]
    ]
    if before.paused != after.paused:
        old, now = ("paused", "resumed") if before.paused else ("running", "paused")
        found.append(CapChange(what="pause", before=old, after=now))
    return found
