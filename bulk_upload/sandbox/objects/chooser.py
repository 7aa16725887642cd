"""Which fault hits which request for an object."""

from __future__ import annotations

import random
from collections import Counter
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bulk_upload.sandbox.objects.faults import NO_FAULT, RequestKind

if TYPE_CHECKING:
    from bulk_upload.sandbox.objects.faults import ObjectFaults, ObjectStep


class ObjectFaultChooser:
    """Takes the steps that are aimed at an object, then the script's in order, then draws chances within its budget."""

    def __init__(self, faults: ObjectFaults) -> None:
        self._faults = faults
        self._scripts = {
            request: iter([step for step in faults.script if step.request is request])
            for request in RequestKind
        }
        self._taken: Counter[tuple[int, RequestKind, str]] = Counter()
        self._drawn_for: Counter[str] = Counter()
        # S311: chance for rehearsals, repeatable by its seed; nothing secret comes of it.
        self._chance = random.Random(faults.seed)  # noqa: S311

    def draw(self, request: RequestKind, path: str) -> ObjectStep:
        """Return what a request for `/BUCKET/KEY` (a listing: `/BUCKET/PREFIX`) is to meet."""
        aimed = self._aimed(request, path)
        if aimed is not None:
            return aimed
        scripted = next(self._scripts[request], None)
        return self._drawn(request, path) if scripted is None else scripted

    def _aimed(self, request: RequestKind, path: str) -> ObjectStep | None:
        for number, aimed in enumerate(self._faults.aimed):
            steps = [step for step in aimed.steps if step.request is request]
            taken = self._taken[number, request, path]
            if taken < len(steps) and fnmatchcase(path, aimed.pattern):
                self._taken[number, request, path] += 1
                return steps[taken]
        return None

    def _drawn(self, request: RequestKind, path: str) -> ObjectStep:
        point = self._chance.random()
        for chance in self._faults.chances:
            if chance.step.request is not request:
                continue
            if point < chance.probability:
                return self._within_budget(chance.step, path)
            point -= chance.probability
        return NO_FAULT

    def _within_budget(self, step: ObjectStep, path: str) -> ObjectStep:
        budget = self._faults.fault_budget
        if budget is None:
            return step
        if self._drawn_for[path] >= budget:
            return NO_FAULT
        self._drawn_for[path] += 1
        return step
