"""What must hold of the faults of every rehearsal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

HINT = "see docs/how-to/sandbox.md for every fault with an example"


class Requirements:
    """Raises UsageError for what does not hold; `of` names what is wrong, such as `object faults`."""

    def __init__(self, of: str) -> None:
        self._of = of

    def require(self, condition: bool, message: str) -> None:
        """Raise UsageError with the message unless the condition holds."""
        if not condition:
            raise UsageError(f"sandbox {self._of}: {message}", hint=HINT)

    def check_number(self, number: float, step: object, *, is_fraction: bool, is_speed: bool) -> None:
        """Check the number of a step: a fraction of a body, a speed, or any finite number."""
        if is_fraction:
            self.require(0 <= number < 1, f"{step} needs a fraction from 0 up to, not including, 1")
        if is_speed:
            self.require(number >= 1, f"{step} needs at least 1 byte/s")
        self.require(math.isfinite(number) and number >= 0, f"{step} needs a finite number of 0 or more")

    def check_chances(self, probabilities: Sequence[float], *, what: str = "the chances") -> None:
        """Check chances of which at most one hits."""
        self.require(all(0 <= one <= 1 for one in probabilities), "a chance is a number from 0 to 1")
        # The slack is for sums such as 0.1 + 0.2 + 0.7.
        self.require(sum(probabilities) <= 1 + 1e-9, f"{what} add up to more than 1")
