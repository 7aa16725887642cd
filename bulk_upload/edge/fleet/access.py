"""Who may be an agent of a run: whoever has its token, or a ticket that was not used yet."""

from __future__ import annotations

import hmac
import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN_BYTES = 32
TICKET_LASTS_S = 60.0
"""A ticket may be seen in a scheduler's state or logs: by then it was used, or is of no use any more."""

_TOKEN = "token-"  # noqa: S105 - what a token begins with
_TICKET = "ticket-"
_SCHEME = "Bearer "


def new_token() -> str:
    """Return a token of 256 random bits."""
    return _TOKEN + secrets.token_urlsafe(TOKEN_BYTES)


def authorization(secret: str) -> str:
    """Return the value of the header that presents a token or a ticket."""
    return _SCHEME + secret


class Access:
    """Knows a run's token and its tickets. Each is compared in constant time.

    Args:
        token: the run's token; by default a new one.
        now: returns monotonic seconds.
    """

    def __init__(self, token: str | None = None, *, now: Callable[[], float] = time.monotonic) -> None:
        self.token = token or new_token()
        self._now = now
        self._tickets: dict[str, float] = {}

    def issue_ticket(self) -> str:
        """Return a ticket that admits one agent within the next `TICKET_LASTS_S` seconds."""
        now = self._now()
        self._tickets = {ticket: until for ticket, until in self._tickets.items() if until > now}
        ticket = _TICKET + secrets.token_urlsafe(TOKEN_BYTES)
        self._tickets[ticket] = now + TICKET_LASTS_S
        return ticket

    def admits(self, header: str) -> bool:
        """Whether what an agent presents is the token, or a ticket, which is used up by that."""
        given = header.removeprefix(_SCHEME).encode(errors="surrogateescape")
        admitted = hmac.compare_digest(given, self.token.encode())
        found = None
        # All of them, whichever it is: how long this takes says nothing.
        for ticket in self._tickets:
            if hmac.compare_digest(given, ticket.encode()):
                found = ticket
        if found is not None:
            admitted = self._tickets.pop(found) > self._now()
        return admitted
