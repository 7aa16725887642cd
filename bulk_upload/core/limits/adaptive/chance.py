"""Chance: refusals that come whatever the load, told from those that a limit makes."""

from __future__ import annotations

import math
from enum import Enum, auto

SHARE = (0.01, 0.1)
"""Less than this share refused is not worth slowing down for; more is never chance, or a server that moved its limit
would be ignored."""

PRIOR_REFUSED, PRIOR_STARTS = 0.25, 25.0
"""What is assumed before anything was seen. It is little: after a few starts four refusals in a row make an alarm, after
some hundred good ones two."""

FORGETTING = 0.996
"""How much of a start's weight is left after the next one: the share is that of the last two hundred and fifty."""

ALARM = 5.5
"""Two refusals in a row at the lowest share, or one beyond a known limit. A lower one makes two clients share a quota
unequally: one of them takes the other's refusals for its own limit."""

ALARM_RARE = 8.0
"""While no limit is expected: one false alarm in some 27,000 starts."""

TIMES = 5.0
SHARE_LIMITED = 0.2
"""A limit refuses at least this share, or five times the usual one."""

BEYOND = 2.0
"""Added for a refusal beyond a known limit, of which half are expected to be refused; near a known rate only until chance is
established."""

EVIDENCE = 5.0
EVIDENCE_REFUSAL = 1.0
EVIDENCE_FOLLOWER = math.log(1 / (1 - SHARE_LIMITED))
EVIDENCE_CONTRADICTION = 5.0
CALM_REFUSED = 3
CALM_STARTS = 50
WRONG_SHARE = 0.2
NEAR_TIMES = 3.0
"""Chance refuses as many near the known rate as of the calm starts; so many times as many are a limit's, whose rate was
taken for higher than it is."""

KEPT_STARTS = 100
"""What held for so many starts is not lost by what is refused at a level that was never accepted."""


class Shown(Enum):
    """How refusals were shown not to depend on the load."""

    BY_CALM = auto()
    """Starting more slowly did not help: there is no rate."""

    BY_LOAD = auto()
    """As much or more was accepted at once, before and after."""


class Chance:
    """Counts refusals by the starts between them, and raises an alarm when they come too close together.

    Two CUSUMs (Page, 1954) of the log-likelihood ratio between a limit and the usual share: one for a limit that
    refuses a fifth, one for five times the usual share. Starts are counted, not answers: a refusal comes back sooner
    than an acceptance.
    """

    def __init__(self) -> None:
        self.established = False
        """Whether refusals were shown not to depend on the load."""
        self._refused = PRIOR_REFUSED
        self._starts = PRIOR_STARTS
        self._excursion = 0
        self._quick = self._slow = 0.0
        self._newest = 0
        self._accepted = 0
        self._calm = [0, 0]
        self._batch = [0, 0]
        self._near = [0, 0]
        self._calm_needed = CALM_REFUSED
        self.is_known = False
        self._evidence = 0.0
        self._at_level = 0
        self._evidence_needed = EVIDENCE
        self._watched: tuple[int, int] | None = None
        self._is_refuted = False
        self._since = 0

    @property
    def share(self) -> float:
        """The share of starts refused whatever the load."""
        return self._refused / (self._starts + self._accepted)

    def on_accepted(self, number: int, *, calm: bool, near: bool = False) -> None:
        """Record an accepted start.

        Args:
            number: the start's.
            calm: neither its rate nor its level was near a limit.
            near: it was paced at about the known rate.
        """
        self._accepted += 1
        if calm:
            self._batch[1] += 1
        if near:
            self._near[1] += 1
        watched = self._watched
        if watched is not None and number > watched[1]:
            self._watched = None
            if watched[1] > watched[0]:
                self._evidence += EVIDENCE_REFUSAL + EVIDENCE_FOLLOWER * (watched[1] - watched[0])

    def on_bad(
        self,
        number: int,
        started_count: int,
        *,
        beyond: bool,
        calm: bool,
        easy: bool,
        new: bool,
        regular: bool,
        near: bool = False,
    ) -> bool:
        """Record a refused or failed start, and return whether that is more than chance.

        Args:
            number: the start's; `started_count` how many have started since, itself included.
            beyond: its rate or its level was above a known limit.
            calm: neither was near one.
            easy: it did not follow others more closely than they usually follow each other.
            new: more were in flight than was ever accepted.
            regular: it came after as many starts as the ones before.
            near: it was paced at about the known rate.
        """
        # In either order of answers the gap is that of the starts between two refusals.
        gap = max(number - self._newest, self._accepted + 1)
        self._newest = max(self._newest, number)
        self._accepted = 0
        weight = FORGETTING**gap
        self._refused = self._refused * weight + (not beyond)
        self._starts = self._starts * weight + gap
        share = min(SHARE[1], max(SHARE[0], self._refused / self._starts))
        self._decay(share, gap - 1)
        self._excursion += not beyond
        if calm:
            self._batch[0] += 1
        if near:
            self._near[0] += 1
        self._at_level += easy
        self._watch(number, started_count if easy else number, share)
        # Once refusals were shown not to depend on the rate, one near it says no more than any other.
        if beyond and not (near and self.established):
            step = math.log(0.5 / share) + BEYOND
            self._quick += step
            self._slow += step
        else:
            self._quick += math.log(_limited(share) / share)
            self._slow += math.log(TIMES)
        expected = not calm and not self.established
        if not regular and max(self._quick, self._slow) < (ALARM if expected else ALARM_RARE):
            return False
        self._alarm(new=new, explained=beyond or new or regular)
        return True

    def find(self) -> Shown | None:
        """Return what has just established chance, if anything has."""
        if self.established:
            return None
        calm = self._is_refuted or self._calm_as_the_rest()
        if not calm and self._evidence < self._evidence_needed:
            return None
        self._is_refuted = False
        self.established = True
        self._since = self._newest
        self.is_known = True
        self._calm, self._batch, self._near = [0, 0], [0, 0], [0, 0]
        self._evidence = 0.0
        return Shown.BY_CALM if calm else Shown.BY_LOAD

    def on_rate(self, *, is_refuted: bool = False) -> None:
        """Record that another rate is known from now on. If too many were refused below the last one, it was wrong.

        Args:
            is_refuted: rates were lowered so far that fewer would be refused by now, if one of them was the limit.
        """
        self._is_refuted = is_refuted
        refused, accepted = self._batch
        if refused <= WRONG_SHARE * (refused + accepted):
            self._calm = [self._calm[0] + refused, self._calm[1] + accepted]
        self._batch = [0, 0]

    def contradicted(self) -> None:
        """Record a refusal that no quota explains."""
        self._evidence += EVIDENCE_CONTRADICTION

    def outgrown(self) -> None:
        """Record that a higher load paid: what was refused at the lower one was chance."""
        self._evidence += EVIDENCE_REFUSAL * self._at_level
        self._at_level = 0

    def _calm_as_the_rest(self) -> bool:
        """Return whether slower starts are refused, but no more than chance refuses, and not in a row."""
        now_refused, now_accepted = self._batch
        refused, accepted = self._calm[0] + now_refused, self._calm[1] + now_accepted
        calm = refused + accepted
        near_refused, near = self._near[0], sum(self._near)
        return (
            refused >= self._calm_needed
            and calm >= CALM_STARTS
            and refused <= SHARE[1] * calm
            and now_refused <= SHARE[1] * (now_refused + now_accepted)
            and near_refused * calm <= NEAR_TIMES * refused * near
            and max(self._quick, self._slow) < ALARM / 2
        )

    def _watch(self, number: int, started_count: int, share: float) -> None:
        """Weigh what started after a refusal and before its answer, at the same load: a limit refuses more of it."""
        watched = self._watched
        if watched is None or number > watched[1]:
            self._watched = (number, started_count)
        elif number > watched[0]:
            followers = number - watched[0] - 1
            against = math.log(SHARE_LIMITED / share)
            self._evidence = max(0.0, self._evidence + EVIDENCE_FOLLOWER * followers - against)
            self._watched = (number, max(started_count, watched[1]))

    def _decay(self, share: float, accepted: int) -> None:
        self._quick = max(0.0, self._quick + accepted * math.log((1 - _limited(share)) / (1 - share)))
        self._slow = max(0.0, self._slow + accepted * math.log((1 - TIMES * share) / (1 - share)))
        if self._quick == self._slow == 0.0:
            self._excursion = 0

    def _alarm(self, *, new: bool, explained: bool) -> None:
        # What is refused at a level that was never accepted does not speak of those below it.
        kept = self.established and new and self._newest >= self._since + KEPT_STARTS
        if self.established and not kept:
            self._evidence_needed *= 2
            self._calm_needed *= 2
            self._calm, self._batch = [0, 0], [0, 0]
        self.established = kept
        self._quick = self._slow = 0.0
        if explained and not self.is_known:
            # What made the alarm was no chance.
            self._refused = max(PRIOR_REFUSED, self._refused - self._excursion)
        self._excursion = 0
        self._evidence = 0.0
        self._at_level = 0
        self._watched = None


def _limited(share: float) -> float:
    return max(SHARE_LIMITED, TIMES * share)
