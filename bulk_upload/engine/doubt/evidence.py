"""What the other uploads of a run may still show of a doubt: an accepted file tells the server's time."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bulk_upload.core.clock import moment
from bulk_upload.engine.doubt.listing import clock_offset_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk_upload.core.api.server_clock import ClockOffset
    from bulk_upload.core.api.server_habits import ServerHabits
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.run.ports import FilesApi
    from bulk_upload.core.run.reconcile import Doubt
    from bulk_upload.engine.limits.drain import Drain

LAG_S = 10.0
"""Files that were accepted this long before absence may be believed must be in the list, too: it is waited for them
as long as for the file in doubt. Where only the list says when files were made, it shows them this long after their answer."""

LOOK_S = 0.5
"""How often a doubt that waits looks whether the time is known. No request is made for that."""

LIST_AGAIN_S = 1.0
"""How soon the list is asked again, which may tell the time, too; then after twice as long each time, as it is read to its
end."""


class Evidence:
    """Knows which doubts are open, and which of them wait for another upload to show the server's time. An answer shows it,
    or the list does, which may lag.

    Args:
        may_send: whether the run has something to send that does not wait for another entry; None where nothing is sent.
    """

    def __init__(
        self,
        *,
        files_api: FilesApi,
        habits: ServerHabits,
        clock: Clock,
        drain: Drain,
        may_send: Callable[[], bool] | None = None,
    ) -> None:
        self._files_api = files_api
        self._habits = habits
        self._clock = clock
        self._drain = drain
        self._may_send = may_send
        self.open: list[Doubt] = []
        self._waiting: set[int] = set()
        self._last: set[int] = set()
        """Attempts whose doubt asks the list for the last time: nothing waits for those."""

    @contextmanager
    def opened(self, doubt: Doubt) -> Iterator[None]:
        """Count a doubt as open, also while its candidates are compared: its look-alikes are not decided without it."""
        self.open.append(doubt)
        try:
            yield
        finally:
            self.open.remove(doubt)
            self._last.discard(doubt.attempt_id)

    def is_awaited(self, attempt_id: int) -> bool:
        """Whether the doubt about an attempt waits here for the server's time, which is not known yet."""
        return attempt_id in self._waiting and not self._knows_time()

    def lacks_time(self, doubt: Doubt) -> bool:
        """Whether the server's time at an attempt is not proven, and an accepted upload could prove it."""
        if self._may_send is None or clock_offset_of(doubt, self._files_api).exact_s is not None:
            return False
        is_lost = doubt.began_at is None and doubt.clock_was_set
        return not (is_lost or self._habits.shifts_times or self._knows_time())

    def matching_offset_s(self, doubt: Doubt, offset: ClockOffset) -> float | None:
        """Return the server's clock minus ours that a match must fit: at the attempt, or now where nothing shows how it was
        then.

        If our clock was set in between, the times do not fit, and nothing is adopted.
        """
        is_past = doubt.began_at is None and not doubt.clock_was_set
        if offset.best_s is None and is_past and not self._habits.shifts_times:
            return self._files_api.clock_offset_s
        return offset.best_s

    def time_for(self, doubt: Doubt) -> TimeWait:
        """Return what lets a doubt wait for the server's time."""
        return TimeWait(self, doubt)

    async def wait(self, doubt: Doubt, *, within_s: float) -> bool:
        """Wait for the server's time, but no longer than something may show it, nor than `within_s`.

        Return False where nothing will change any more once the list was asked again.
        """
        ends_s = self._clock.monotonic() + within_s
        self._waiting.add(doubt.attempt_id)
        try:
            while not self._knows_time() and self._may_come():
                left_s = ends_s - self._clock.monotonic()
                if left_s <= 0:
                    return True
                await self._drain.sleep(min(left_s, LOOK_S))
        finally:
            self._waiting.discard(doubt.attempt_id)
        self._last.add(doubt.attempt_id)
        return False

    def _knows_time(self) -> bool:
        return self._files_api.clock_offset(moment(self._clock)).exact_s is not None

    def _may_come(self) -> bool:
        if self._may_send is None or self._drain.begun:
            return False
        accepted_s = self._habits.accepted_at_s
        if accepted_s is not None and self._clock.monotonic() < accepted_s + LAG_S:
            return True
        # Any other doubt may end with its entry sent again.
        return self._may_send() or len(self.open) > len(self._waiting) + len(self._last)


class TimeWait:
    """The waits of one doubt for the server's time."""

    def __init__(self, evidence: Evidence, doubt: Doubt) -> None:
        self._evidence = evidence
        self._doubt = doubt
        self._within_s = LIST_AGAIN_S
        self._is_over = False

    async def may_come(self) -> bool:
        """Wait; return whether the list is to be asked again. After the last time it is not."""
        if self._is_over:
            return False
        self._is_over = not await self._evidence.wait(self._doubt, within_s=self._within_s)
        self._within_s *= 2
        return True
