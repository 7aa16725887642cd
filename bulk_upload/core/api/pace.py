"""What a request body asks before it hands bytes over."""

from __future__ import annotations

from typing import Protocol


class Pace(Protocol):
    """Lets bytes pass when it is their turn."""

    @property
    def piece_bytes(self) -> int | None:
        """How many bytes to ask for at once; None while any number may pass unasked."""

    async def pass_bytes(self, count: int) -> None:
        """Return when `count` bytes may be handed over."""
