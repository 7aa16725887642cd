"""Who may send how fast: the bandwidth cap of a run, divided among its agents and the command itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.fleet.messages import Pace
from bulk_upload.core.fleet.shares import Shares
from bulk_upload.engine.fleet.share_cap import ShareCap
from bulk_upload.engine.limits.bandwidth import BandwidthGate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk_upload.core.clock import Clock
    from bulk_upload.engine.callback_errors import CallbackErrors
    from bulk_upload.engine.fleet.member import Member

OWN = ""
"""The command itself, among sessions of agents, whose names are never empty."""


class OwnShare:
    """The share of a command that sends beside its agents: `gate` admits the pieces of its bodies.

    Args:
        on_held: called when the share holds a piece back.
    """

    def __init__(self, clock: Clock, errors: CallbackErrors, on_held: Callable[[], None]) -> None:
        self._cap = ShareCap()
        self._clock = clock
        self._on_held = on_held
        self.gate = BandwidthGate(self, clock, errors)
        self.sending_count = 0
        """How many requests of the command are in flight."""

    @property
    def piece_bytes(self) -> int | None:
        """How many bytes to hand over at once; None while there is no cap."""
        return self._cap.piece_bytes

    def bytes_wait_s(self, now: float, count: int) -> float:
        """Return how long the share holds `count` bytes back."""
        wait_s = self._cap.bytes_wait_s(now, count)
        if wait_s > 0:
            self._on_held()
        return wait_s

    def take_bytes(self, now: float, count: int) -> None:
        """Count bytes that are handed over now."""
        self._cap.take_bytes(now, count)

    def change(self, bytes_per_s: float | None) -> None:
        """Apply another share from now on; None for no cap, 0 for nothing."""
        self._cap.change(self._clock.monotonic(), bytes_per_s)
        self.gate.admit()


class CapShares:
    """Tells everybody who sends what share of the cap is theirs; together never more than the cap.

    Args:
        bytes_per_s: returns the cap that holds now, None for none.
        own: the command's share, None where it does not send.
    """

    def __init__(self, bytes_per_s: Callable[[], float | None], own: OwnShare | None) -> None:
        self._bytes_per_s = bytes_per_s
        self._own = own
        self._shares: Shares[str] = Shares()
        if own is not None:
            self._shares.joined(OWN)
            self.divide({})

    def joined(self, member: Member, members: Mapping[str, Member]) -> None:
        """Give an agent its first share."""
        self._shares.joined(member.key)
        if member.key not in self.divide(members):
            _pace(member, 0.0)

    def left(self, key: str, members: Mapping[str, Member]) -> None:
        """Give others what an agent had."""
        self._shares.left(key)
        self.divide(members)

    def divide(self, members: Mapping[str, Member]) -> set[str]:
        """Tell everybody whose share changes; return the agents among them."""
        for member in members.values():
            if member.pace_seq and member.session.mailbox.confirmed >= member.pace_seq:
                member.pace_seq = 0
                self._shares.confirmed(member.key)
        demand = {key: len(one.dispatches) for key, one in members.items()}
        if self._own is not None:
            demand[OWN] = self._own.sending_count
        told = self._shares.divide(self._bytes_per_s(), demand)
        if OWN in told and self._own is not None:
            self._own.change(told.pop(OWN))
            # It has it at once.
            self._shares.confirmed(OWN)
        for key, rate in told.items():
            _pace(members[key], rate)
        return set(told)


def _pace(member: Member, rate: float | None) -> None:
    member.post(Pace(bytes_per_s=rate))
    member.pace_seq = member.session.mailbox.posted
