"""The clock of the fence: it goes on while the machine sleeps."""

from __future__ import annotations

import time

# CLOCK_MONOTONIC stands still during a suspension (clock_gettime(2)); macOS's CLOCK_MONOTONIC does not.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_s() -> float:
    """Return the seconds since this machine was started, those asleep included."""
    return time.clock_gettime(_CLOCK)
