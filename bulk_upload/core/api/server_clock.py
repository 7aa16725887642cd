"""How far the server's clock is from ours, as the answers of one run show it. Unknown is None, never zero.

The server's time is compared with our monotonic clock, so that a wall clock that is set changes nothing. Only a step
forward may be a sleep of the machine, during which the monotonic clock stands still and the server's does not: what was
measured before and what is measured after are kept apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.clock import STEP_S, Moment, WallClock
from bulk_upload.core.text.timestamps import has_zone, utc_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bulk_upload.core.model import ListedFile

MEASURED_S_MAX = 30.0
"""A `created_at` says when within its request a file was made. A longer request says too little."""

AGREES_S = 5.0
"""`Date` and `created_at` that differ by more are not of one clock. Both may have whole seconds."""

DATE_ALONE_S = 2 * 86_400.0
"""How far `created_at` may be behind `Date` while no file of ours has shown that they are of one clock: a proxy may have
written the `Date`, and a `created_at` may be in another zone than it says."""

REMEMBERED_MAX = 1000
"""The times of so many of the latest accepted uploads are kept, to measure by what the list says of them."""


class ClockOffset(msgspec.Struct, frozen=True, kw_only=True):
    """The server's clock minus ours at one moment, in seconds.

    `best_s` is what was measured, None where nothing was, or only beyond a step of our clock that may have been a sleep.
    `least_s` is as small as it can be: it decides which files are too old; None where no file is.
    """

    best_s: float | None
    least_s: float | None

    @property
    def exact_s(self) -> float | None:
        """The offset where files of ours have confirmed it, else None."""
        return self.best_s if self.best_s == self.least_s else None


UNKNOWN = ClockOffset(best_s=None, least_s=None)


_EVER = Moment(utc_s=0.0, monotonic_s=float("-inf"))


class _Span:
    """What was measured between two steps of our clock: the server's time minus our monotonic one, in seconds.

    Each value is a lower bound: an answer that was long on its way makes it smaller. The largest counts while all files
    agree, the smallest where they do not, as with several servers: a small one only makes a window begin earlier.
    """

    def __init__(self, *, last: Moment, noticed: Moment, step_s: float) -> None:
        self._last_s = last.monotonic_s
        self._ahead_s = noticed.utc_s - noticed.monotonic_s
        self.since_s = noticed.monotonic_s
        self.step_s = step_s
        self.dates: tuple[float, float] | None = None
        self.created: float | None = None
        self.created_without_zone: float | None = None
        # By every file, also one whose request was long: from the latest beginning to the earliest end.
        self.common = (float("-inf"), float("inf"))

    def has(self, then: Moment) -> bool:
        """Whether a moment is after the step that this begins with: between the last look and the one that noticed the
        step, the moment's own reading of the wall clock shows it."""
        if then.monotonic_s <= self._last_s:
            return False
        return then.monotonic_s > self.since_s or abs(then.utc_s - then.monotonic_s - self._ahead_s) < STEP_S

    def at_least(self, measured_s: float | None) -> float | None:
        """Return a measurement, or what all files agree on where that is more."""
        least_s, most_s = self.common
        if measured_s is None or not least_s <= most_s < float("inf"):
            return measured_s
        return max(measured_s, least_s)

    @property
    def date_agrees(self) -> bool | None:
        """Whether `Date` and `created_at` are of one clock; None while one of them was not seen."""
        least_s, most_s = self.common
        if self.dates is None or most_s == float("inf"):
            return None
        return least_s - AGREES_S <= self.dates[1] <= most_s + AGREES_S


class ServerClock:
    """The offset of one server's clock. All times are seconds."""

    def __init__(self) -> None:
        self._wall = WallClock()
        self._spans = [_Span(last=_EVER, noticed=_EVER, step_s=0.0)]
        self._last = _EVER
        self._date_agrees: bool | None = None
        self._requests: dict[str, tuple[float, float]] = {}
        self._answered: dict[str, None] = {}

    def offset(self, then: Moment) -> ClockOffset:
        """Return the offset at a moment of this run.

        `created_at` counts where `Date` contradicts it, because windows are compared with it.
        """
        date = self._measured(then, _date)
        if date is not None and self._date_agrees:
            return date
        created = self._measured(then, _created)
        if created is not None:
            return created
        without_zone = self._measured(then, _created_without_zone)
        if date is not None and date.least_s is not None and self._date_agrees is None:
            best = without_zone or date
            return ClockOffset(best_s=best.best_s, least_s=date.least_s - DATE_ALONE_S)
        return UNKNOWN if without_zone is None else ClockOffset(best_s=without_zone.best_s, least_s=None)

    def note_ours(self, now: Moment) -> None:
        """Note how our two clocks stand, to see whether the wall clock was set."""
        if now is self._last:
            return
        step_s = self._wall.step_s(now)
        if step_s > 0:
            self._spans.append(_Span(last=self._last, noticed=now, step_s=step_s))
        self._last = now

    def note_date(self, date_s: float | None, now: Moment) -> None:
        """Note the `Date` of an answer that has just come, None where it has none that can be read."""
        self.note_ours(now)
        if date_s is not None:
            span, lead_s = self._spans[-1], date_s - now.monotonic_s
            span.dates = (lead_s, lead_s) if span.dates is None else _widened(span.dates, lead_s)
            self._compare(span)

    def note_accepted(self, file_id: str, created_at: str | None, *, began_s: float, now: Moment) -> None:
        """Note an upload whose answer has just come: its id, when the server says that it made the file, and when its
        request began, on our monotonic clock."""
        self.note_ours(now)
        if file_id in self._answered:
            # An id that came with two answers: one of them is another file's, made at another time.
            self._requests.pop(file_id, None)
            return
        self._answered[file_id] = None
        if len(self._answered) > REMEMBERED_MAX:
            del self._answered[next(iter(self._answered))]
        if utc_seconds(created_at) is None:
            # Where the answer says it, the list is not asked: the id may turn out to be another file's.
            self._requests[file_id] = (began_s, now.monotonic_s)
            if len(self._requests) > REMEMBERED_MAX:
                del self._requests[next(iter(self._requests))]
        self._note_created(created_at, began_s, now.monotonic_s)

    def note_listed(self, files: Iterable[ListedFile]) -> None:
        """Note what a list says of files that this run has sent."""
        for one in files:
            request = self._requests.pop(one.file_id, None)
            if request is not None:
                self._note_created(one.created_at, *request)

    def _note_created(self, created_at: str | None, began_s: float, ended_s: float) -> None:
        created_s = utc_seconds(created_at)
        span = self._spans[-1]
        if span.since_s > ended_s:
            span = next(one for one in reversed(self._spans) if one.since_s <= ended_s)
        if created_s is None or began_s < span.since_s:
            # A request during which our clock stepped measures neither side.
            return
        least_s, most_s = created_s - ended_s, created_s - began_s
        is_short = most_s - least_s <= MEASURED_S_MAX
        if not has_zone(created_at):
            if is_short:
                span.created_without_zone = _smaller(span.created_without_zone, least_s)
            return
        if is_short:
            span.created = _smaller(span.created, least_s)
        span.common = max(span.common[0], least_s), min(span.common[1], most_s)
        self._compare(span)

    def _compare(self, span: _Span) -> None:
        if span.date_agrees is not None and self._date_agrees is not False:
            self._date_agrees = span.date_agrees

    def _place_of(self, then: Moment) -> int:
        """Return the place of the latest span that has a moment; the first one has all."""
        place = len(self._spans) - 1
        while not self._spans[place].has(then):
            place -= 1
        return place

    def _measured(self, then: Moment, which: Callable[[_Span], float | None]) -> ClockOffset | None:
        """Return what one kind of measurement says of a moment: the one of its own span, else a later, else an earlier
        one, which then is a bound.

        What was measured after a sleep is too much for the time before it, by as long as the machine slept.
        """
        ours_s = then.monotonic_s - then.utc_s
        if len(self._spans) == 1:
            # As nearly every run: no step.
            only_s = which(self._spans[0])
            return None if only_s is None else ClockOffset(best_s=only_s + ours_s, least_s=only_s + ours_s)
        place = self._place_of(then)
        slept_s = -self._spans[place].step_s
        for one in self._spans[place:]:
            slept_s += one.step_s
            if (lead_s := which(one)) is not None:
                least_s = lead_s + ours_s - slept_s
                return ClockOffset(best_s=None if slept_s else least_s, least_s=least_s)
        for one in reversed(self._spans[:place]):
            if (lead_s := which(one)) is not None:
                return ClockOffset(best_s=None, least_s=lead_s + ours_s)
        return None


def _created(span: _Span) -> float | None:
    return span.at_least(span.created)


def _created_without_zone(span: _Span) -> float | None:
    return span.created_without_zone


def _date(span: _Span) -> float | None:
    return span.at_least(None if span.dates is None else span.dates[0])


def _widened(between: tuple[float, float], value: float) -> tuple[float, float]:
    return min(between[0], value), max(between[1], value)


def _smaller(one: float | None, other: float) -> float:
    return other if one is None else min(one, other)
