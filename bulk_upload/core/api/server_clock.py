"""How far the server's clock is from ours, as the answers of one run show it. Unknown is None, never zero."""

from __future__ import annotations

from bulk_upload.core.text.timestamps import has_zone, utc_seconds

MEASURED_S_MAX = 30.0
"""A `created_at` says when within its request a file was made. A longer request says too little."""

AGREES_S = 5.0
"""`Date` and `created_at` that differ by more are not of one clock. Both may have whole seconds."""

STEP_S = 4.0
"""Our wall clock stepped when it moved by more against the monotonic one. Less is covered by the windows' tolerance."""


class ServerClock:
    """The offset of one server's clock. All times are seconds, `utc_s` since 1970.

    The smallest offset seen counts: an answer that was long on its way makes the offset smaller, and a small offset
    only makes a window begin earlier.
    """

    def __init__(self) -> None:
        self._by_date_s: float | None = None
        self._by_created_s: tuple[float, float] | None = None
        self._ahead_s: float | None = None
        self._stepped_back = False

    def offset_s(self, *, utc_s: float, monotonic_s: float) -> float | None:
        """Return the server's clock minus ours, None where it is unknown.

        `created_at` counts where `Date` contradicts it, because windows are compared with it. After our clock was set
        back nothing is known: attempts before and after would need two offsets.
        """
        self.note_ours(utc_s=utc_s, monotonic_s=monotonic_s)
        if self._stepped_back:
            return None
        if self._by_created_s is None:
            return self._by_date_s
        least_s, most_s = self._by_created_s
        if self._by_date_s is not None and least_s - AGREES_S <= self._by_date_s <= most_s + AGREES_S:
            return self._by_date_s
        return least_s

    def note_ours(self, *, utc_s: float, monotonic_s: float) -> None:
        """Note how our two clocks stand, to see whether the wall clock was set."""
        ahead_s = utc_s - monotonic_s
        if self._ahead_s is None:
            self._ahead_s = ahead_s
        elif ahead_s < self._ahead_s - STEP_S:
            self._stepped_back = True
        elif ahead_s > self._ahead_s + STEP_S:
            # Set forward, or asleep: the next answers show which.
            self._ahead_s, self._by_created_s = ahead_s, None

    def note_date(self, date_s: float | None, *, utc_s: float, monotonic_s: float) -> None:
        """Note the `Date` of an answer that has just come, None where it has none that can be read."""
        self.note_ours(utc_s=utc_s, monotonic_s=monotonic_s)
        if date_s is not None:
            offset_s = date_s - utc_s
            self._by_date_s = offset_s if self._by_date_s is None else min(self._by_date_s, offset_s)

    def note_created(
        self, created_at: str | None, *, lasted_s: float, utc_s: float, monotonic_s: float
    ) -> None:
        """Note when the server says that it made a file whose answer has just come, `lasted_s` after its request began."""
        self.note_ours(utc_s=utc_s, monotonic_s=monotonic_s)
        created_s = utc_seconds(created_at)
        if created_s is None or not has_zone(created_at) or lasted_s > MEASURED_S_MAX:
            return
        least_s, most_s = created_s - utc_s, created_s - utc_s + lasted_s
        if self._by_created_s is not None:
            least_s, most_s = min(self._by_created_s[0], least_s), max(self._by_created_s[1], most_s)
        self._by_created_s = least_s, most_s
