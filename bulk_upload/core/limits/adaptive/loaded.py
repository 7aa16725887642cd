"""Loaded: the ticket of a start, with the load that it met."""

from __future__ import annotations

from bulk_upload.core.limits.controller import Ticket


class LoadedTicket(Ticket, frozen=True, kw_only=True):
    """A ticket with the load at its start: `beyond` a known limit; `calm`, near none although one is suspected; `easy`,
    no closer to others than usual; or `new`, with more in flight than was ever accepted."""

    beyond: bool = False
    calm: bool = False
    easy: bool = False
    new: bool = False
