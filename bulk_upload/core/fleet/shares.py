"""Divides the bandwidth cap among agents, so that what they may send never adds up to more. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

Key = TypeVar("Key", bound="Hashable")

CHANGE_MIN = 0.1
"""A share that differs by less from what an agent has is not worth a message."""

BYTES_PER_S_MIN = 1024.0
"""An agent without uploads keeps a little, so that its first one moves before its share grows."""


class _Share(NamedTuple):
    """What an agent was told last, and the most it may still use until it has confirmed that."""

    told: float | None
    used_max: float | None


class Shares(Generic[Key]):
    """Remembers what each agent was told and what it may still use, and says whom to tell what.

    A share is raised only by what others have confirmed to have given up.
    """

    def __init__(self) -> None:
        self._shares: dict[Key, _Share] = {}

    def joined(self, key: Key) -> None:
        """Record an agent that was told nothing: it sends nothing until it is."""
        self._shares[key] = _Share(0.0, 0.0)

    def left(self, key: Key) -> None:
        """Record that an agent sends nothing any more."""
        self._shares.pop(key, None)

    def confirmed(self, key: Key) -> None:
        """Record that an agent has what it was told last."""
        share = self._shares.get(key)
        if share is not None:
            self._shares[key] = _Share(share.told, share.told)

    def in_use(self) -> float | None:
        """Return the most that all agents may send a second now, None for no limit."""
        total = 0.0
        for share in self._shares.values():
            if share.used_max is None:
                return None
            total += share.used_max
        return total

    def divide(self, cap: float | None, demand: Mapping[Key, int]) -> dict[Key, float | None]:
        """Return whom to tell what, for a cap in bytes a second and the number of uploads that each agent has."""
        if cap is None:
            changed = {key: None for key, share in self._shares.items() if share.told is not None}
            for key in changed:
                self._shares[key] = _Share(None, None)
            return dict(changed)
        told: dict[Key, float | None] = {}
        wanted = self._wanted(cap, demand)
        # What shrinks first: only what others have given up is there to be had.
        for key, share in self._shares.items():
            if share.told is None or wanted[key] < share.told * (1 - CHANGE_MIN):
                self._tell(told, key, wanted[key])
        for key, share in self._shares.items():
            if share.told is None or share.used_max is None or wanted[key] <= share.told * (1 + CHANGE_MIN):
                continue
            others = self._used_by_others(key)
            if others is None:
                continue
            allowed = min(wanted[key], cap - others)
            if allowed > share.told * (1 + CHANGE_MIN):
                self._tell(told, key, allowed)
        return told

    def _tell(self, told: dict[Key, float | None], key: Key, rate: float) -> None:
        used = self._shares[key].used_max
        self._shares[key] = _Share(rate, None if used is None else max(used, rate))
        told[key] = rate

    def _used_by_others(self, key: Key) -> float | None:
        total = 0.0
        for other, share in self._shares.items():
            if other == key:
                continue
            if share.used_max is None:
                return None
            total += share.used_max
        return total

    def _wanted(self, cap: float, demand: Mapping[Key, int]) -> dict[Key, float]:
        least = min(BYTES_PER_S_MIN, cap / max(1, len(self._shares)))
        rest = max(0.0, cap - least * len(self._shares))
        total = sum(demand.get(key, 0) for key in self._shares)
        return {
            key: least + rest * (demand.get(key, 0) / total if total else 1 / len(self._shares))
            for key in self._shares
        }
