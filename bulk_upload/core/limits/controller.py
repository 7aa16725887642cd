"""How many uploads may be in flight, behind an interface for any controller.

A person's caps on top of it are in core/limits/capped.py. A controller is pure: it never reads a clock or draws a
random number, so that a simulator can drive it. Times are monotonic seconds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from bulk_upload.core.limits.signal import Signal


class Ticket(msgspec.Struct, frozen=True):
    """The right to one request: when it started and how many were in flight, itself included.

    `paced` says that a start rate held it back; `probe` that it tests whether an outage is over.
    """

    number: int
    started_at: float
    level: int
    paced: bool = False
    probe: bool = False


class LearnedLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits a controller learned at an endpoint. `rate_per_s` is None where it did not need to pace."""

    limit: int
    rate_per_s: float | None = None


def chance_words(share: float) -> str:
    """Return what a person is told of refusals that do not depend on the load."""
    return f"{100 * share:.2g}{_CHANCE}"


def with_chance(said: str, share: float | None) -> str:
    """Return an explanation with these words at its end, if there are such refusals."""
    return said if share is None else f"{said}; {chance_words(share)}"


def chance_words_in(reason: str) -> str | None:
    """Return these words where a recorded reason has them."""
    found = _CHANCE_WORDS.search(reason)
    return None if found is None else found[0]


_CHANCE = " % of requests refused whatever our rate; not slowing down for them"
_CHANCE_WORDS = re.compile(rf"[0-9.e+-]+{re.escape(_CHANCE)}")


class Controller(Protocol):
    """Decides when the next upload may start. Every ticket ends in exactly one `on_end`."""

    @property
    def limit(self) -> int:
        """How many requests may be unanswered."""

    @property
    def rate_per_s(self) -> float | None:
        """How many uploads may start per second, None while starts are not paced."""

    @property
    def learned(self) -> LearnedLimits | None:
        """The last values that were good, for the next run to begin with; None where nothing was learned."""

    @property
    def chance_share(self) -> float | None:
        """The share of requests that the server refuses whatever our load; None while none is known to."""

    def next_delay(self, now: float) -> float:
        """Return 0 when an upload may start now, else the seconds after which to ask again: always finite.

        A call counts as waiting to start: call only with an entry ready and a free slot.
        """

    def pause_s(self, now: float) -> float:
        """Return how long no upload may start because the server asked for a pause, or seems to be down.

        A part of `next_delay`; a start rate is no pause.
        """

    def named_wait_s(self, now: float) -> float:
        """Return how long the longest wait that the server named still lasts, even where it binds only one file: a
        controller that knows of no chance obeys it."""

    def on_start(self, now: float) -> Ticket:
        """Take a slot."""

    def on_bytes(self, now: float, count: int) -> None:
        """Record that `count` bytes left for the server; negative when a refused body is taken back."""

    def on_end(self, now: float, ticket: Ticket, signal: Signal) -> None:
        """Release the slot, and learn from how the request ended."""

    def on_held(self, now: float) -> None:
        """Record that something of our own held starts or bytes back: a cap, a person, an empty feeder.

        Measurements taken meanwhile say nothing about the server.
        """

    def tick(self, now: float) -> None:
        """Called as time passes: a few times a second."""

    def explain(self) -> str:
        """Return the current limit and the reason of its last change, as text."""
