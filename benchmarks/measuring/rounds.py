"""The order in which contenders are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")


def in_turn(contenders: Sequence[T], round_count: int) -> Iterator[tuple[int, T]]:
    """Yield every contender once a round, with the round's number from 0.

    Each round begins with another one: whoever always comes first meets the coldest machine.
    """
    for number in range(round_count):
        start = number % len(contenders)
        for contender in (*contenders[start:], *contenders[:start]):
            yield number, contender
