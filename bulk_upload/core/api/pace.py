"""The interfaces by which a request body is paced, and stopped."""

from __future__ import annotations

from typing import Protocol


class Pace(Protocol):
    """Decides when bytes may be sent."""

    @property
    def piece_bytes(self) -> int | None:
        """How many bytes to ask for at once; None while there is no cap."""

    async def pass_bytes(self, count: int) -> None:
        """Return when `count` bytes may be handed over."""


class Fence(Protocol):
    """Ends everything at one moment: what is not written by then never is."""

    def is_open(self) -> bool:
        """Whether bytes may be sent now. Once False, it stays so. May be called on any thread."""
