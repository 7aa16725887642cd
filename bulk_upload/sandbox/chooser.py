"""Which fault hits which upload request, and which request comes too soon."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk_upload.sandbox.faults import OK, Faults, Step

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """The step a request is to meet. `budgeted` steps still have to pass the budget of their file."""

    step: Step
    budgeted: bool = False


class FaultChooser:
    """Takes the script's steps in order, then draws chances within each file's budget."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._script: Iterator[Step] = iter(faults.script)
        # S311: chance for rehearsals, repeatable by its seed; nothing secret comes of it.
        self._chance = random.Random(faults.seed)  # noqa: S311
        self._of_file: Counter[tuple[str, str]] = Counter()
        self._early_of_length: Counter[int | None] = Counter()
        self._all_of_length: Counter[int | None] = Counter()

    def draw(self, content_length: int | None) -> Draw:
        """Return what a request that just arrived is to meet. An early step has passed its budget already."""
        scripted = next(self._script, None)
        if scripted is not None:
            return Draw(step=scripted)
        step = self._drawn()
        if step is OK or self._faults.fault_budget is None:
            return Draw(step=step)
        if not step.early:
            return Draw(step=step, budgeted=True)
        # The file is unknown before the body is read, and Content-Length stands for it: counting every fault of
        # that length here, and the early ones again in `settle`, keeps each file within its budget.
        if self._all_of_length[content_length] >= self._faults.fault_budget:
            return Draw(step=OK)
        self._early_of_length[content_length] += 1
        self._all_of_length[content_length] += 1
        return Draw(step=step)

    def settle(self, draw: Draw, *, content_length: int | None, filename: str, purpose: str) -> Step:
        """Return the step of a request whose file is now known: `ok` once that file's budget is used up."""
        budget = self._faults.fault_budget
        if not draw.budgeted or budget is None:
            return draw.step
        key = (filename, purpose)
        if self._of_file[key] + self._early_of_length[content_length] >= budget:
            return OK
        self._of_file[key] += 1
        self._all_of_length[content_length] += 1
        return draw.step

    def _drawn(self) -> Step:
        point = self._chance.random()
        for chance in self._faults.chances:
            if point < chance.probability:
                return chance.step
            point -= chance.probability
        return OK


class TokenBucket:
    """Lets `burst` requests through at once and `rate_per_s` in the long run."""

    def __init__(self, *, rate_per_s: float, burst: int) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._tokens = float(burst)
        self._at_s: float | None = None

    def take(self, now_s: float) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        if self._at_s is not None:
            self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._rate_per_s)
        self._at_s = now_s
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate_per_s
