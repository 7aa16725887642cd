"""Which controller a run has: the one place that chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.limit import FixedLimit

if TYPE_CHECKING:
    from bulk_upload.core.caps import Caps
    from bulk_upload.core.limit import Controller, Learned

AUTO_LIMIT = 8


def controller_for(caps: Caps, *, learned: Learned | None = None) -> Controller:
    """Return a controller that keeps the number a person gave, or finds one.

    Args:
        caps: the person's; `concurrency` is None where the number is to be found.
        learned: what an earlier run found at this endpoint, to begin with.
    """
    if caps.concurrency is not None:
        return FixedLimit(caps.concurrency)
    first = AUTO_LIMIT if learned is None else learned.limit
    return FixedLimit(min(first, caps.in_flight_max))
