"""Which controller a run has: the one place that chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.controller import AdaptiveLimit
from bulk_upload.core.limit import FixedLimit

if TYPE_CHECKING:
    from bulk_upload.core.caps import Caps
    from bulk_upload.core.limit import Controller, Learned


def controller_for(caps: Caps, *, learned: Learned | None = None) -> Controller:
    """Return a controller that keeps the number a person gave, or finds one.

    Args:
        caps: the person's; `concurrency` is None where the number is to be found.
        learned: what an earlier run found at this endpoint, to begin with.
    """
    if caps.concurrency is not None:
        return FixedLimit(caps.concurrency)
    return AdaptiveLimit(limit_max=caps.capacity, learned=learned)
