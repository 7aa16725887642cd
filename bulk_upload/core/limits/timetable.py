"""A cap on bandwidth over the day: returns the one in force at a given minute."""

from __future__ import annotations

from bisect import bisect_right

import msgspec

MINUTES_A_DAY = 24 * 60


class Span(msgspec.Struct, frozen=True):
    """From a minute of the day on, this many bytes per second may be sent; None means no cap."""

    from_minute: int
    bytes_per_s: float | None


class Timetable(msgspec.Struct, frozen=True):
    """Consecutive caps over the day, in the order of their minutes.

    Each holds until the next one begins; before the first of a day the last one of the day before holds. A
    single span is a cap for the whole day.
    """

    spans: tuple[Span, ...]

    def __post_init__(self) -> None:
        minutes = [one.from_minute for one in self.spans]
        if not minutes or minutes != sorted(set(minutes)):
            raise ValueError("a timetable needs spans, each beginning later than the one before")
        if minutes[0] < 0 or minutes[-1] >= MINUTES_A_DAY:
            raise ValueError("a span begins within the day")

    @classmethod
    def always(cls, bytes_per_s: float) -> Timetable:
        """Return the timetable with a single cap all day."""
        return cls((Span(0, bytes_per_s),))

    def bytes_per_s(self, minute_of_day: int) -> float | None:
        """Return the cap at a minute of the day, None where there is none."""
        index = bisect_right(self.spans, minute_of_day, key=lambda one: one.from_minute)
        return self.spans[index - 1].bytes_per_s

    @property
    def most_bytes_per_s(self) -> float | None:
        """The highest cap of the day, None where there is none at some time of it."""
        caps = [one.bytes_per_s for one in self.spans]
        return None if None in caps else max(one for one in caps if one is not None)

    def __str__(self) -> str:
        """As it is typed: `2MB/s`, or `08:00,2MB/s 19:00,off`."""
        if len(self.spans) == 1:
            return bandwidth_text(self.spans[0].bytes_per_s)
        return " ".join(
            f"{one.from_minute // 60:02d}:{one.from_minute % 60:02d},{bandwidth_text(one.bytes_per_s)}"
            for one in self.spans
        )


def bandwidth_text(bytes_per_s: float | None) -> str:
    """Return a cap as it is typed: `50MB/s`, `1.5kB/s`, `off`."""
    if bytes_per_s is None:
        return "off"
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if bytes_per_s >= size:
            return f"{bytes_per_s / size:.10g}{unit}/s"
    return f"{bytes_per_s:.10g}B/s"


def rate_text(starts_per_s: float | None) -> str:
    """Return a rate of starts as it is typed: `5/s`, `20/min`, `off`."""
    if starts_per_s is None:
        return "off"
    if starts_per_s < 1:
        return f"{starts_per_s * 60:.6g}/min"
    return f"{starts_per_s:.6g}/s"
