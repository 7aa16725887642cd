"""How a `FakeServer` treats several files in one request."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence


class BundleFate(StrEnum):
    """What becomes of one request with several files."""

    ACCEPT = "accept"
    REVERSED = "reversed"
    LEFT_OUT = "left_out"
    RENAMED = "renamed"
    OTHER_SIZE = "other_size"
    DUPLICATE_ID = "duplicate_id"
    NO_NAMES = "no_names"
    HTML = "html"
    LOSE_BODY = "lose_body"
    LOSE_UNSTORED = "lose_unstored"
    LOSE_STORED = "lose_stored"
    LOSE_PART = "lose_part"
    FAIL_UNSTORED = "fail_unstored"
    FAIL_PART = "fail_part"
    REFUSE = "refuse"
    REFUSE_PART = "refuse_part"
    TOO_LARGE = "too_large"
    THROTTLE = "throttle"
    THROTTLE_NAMED = "throttle_named"
    NO_CALL = "no_call"
    FORBID = "forbid"
    DENY = "deny"


@dataclass(slots=True, kw_only=True)
class BundleRules:
    """How a server treats several files in one request.

    Args:
        script: the fates of the next requests; afterwards `chances` decide, then all is well.
        chances: how likely a fate is.
        serves: whether there is such a call.
        files_max: with more files in a request it is refused with 413.
        bad_names: a request with one of these is refused with 422; so is a single file of this name.
    """

    script: deque[BundleFate] = field(default_factory=deque)
    chances: dict[BundleFate, float] = field(default_factory=dict)
    serves: bool = True
    files_max: int = 1_000
    bad_names: set[str] = field(default_factory=set)
    sizes: list[int] = field(default_factory=list)
    """How many files each request had, in order of arrival."""

    def draw(self, names: Sequence[str], chance: random.Random) -> BundleFate:
        """Return the fate of a request with files of these names."""
        self.sizes.append(len(names))
        if not self.serves:
            return BundleFate.NO_CALL
        if len(names) > self.files_max:
            return BundleFate.TOO_LARGE
        if self.script:
            return self.script.popleft()
        if self.bad_names.intersection(names):
            return BundleFate.REFUSE
        point = chance.random()
        for fate, probability in self.chances.items():
            point -= probability
            if point < 0:
                return fate
        return BundleFate.ACCEPT
