"""Messages that arrive once and in order, however often the connection breaks. Pure: it neither sends nor waits."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Sent = TypeVar("Sent")
Received = TypeVar("Received")


class BrokenProtocol(Exception):
    """The other end said what it cannot say; its text says what."""


class Batch(NamedTuple, Generic[Sent]):
    """Messages to put in one frame: the number of the first, the last number received, and the messages."""

    seq: int
    seen: int
    messages: tuple[Sent, ...]


class Mailbox(Generic[Sent, Received]):
    """One end of a session: numbers what it sends from 1 on, and keeps it until the other end has it."""

    def __init__(self) -> None:
        self._kept: deque[Sent] = deque()
        self._kept_from = 1
        self._unsent_from = 1
        self._seen = self._said_seen = 0

    @property
    def seen(self) -> int:
        """The number of the last message received."""
        return self._seen

    @property
    def confirmed(self) -> int:
        """The number of the last message that the other end has."""
        return self._kept_from - 1

    @property
    def posted(self) -> int:
        """The number of the last message posted."""
        return self._kept_from + len(self._kept) - 1

    @property
    def has_news(self) -> bool:
        """Whether there is anything to send: a message, or a confirmation."""
        return self._unsent_from <= self.posted or self._said_seen < self._seen

    def kept(self) -> tuple[Sent, ...]:
        """Return what the other end has not confirmed."""
        return tuple(self._kept)

    def post(self, message: Sent) -> None:
        """Put a message into the next batch."""
        self._kept.append(message)

    def batch(self) -> Batch[Sent]:
        """Return all that was not sent on this connection yet."""
        seq = self._unsent_from
        messages = tuple(islice(self._kept, seq - self._kept_from, None))
        self._unsent_from = seq + len(messages)
        self._said_seen = self._seen
        return Batch(seq, self._seen, messages)

    def resume(self, seen: int) -> None:
        """Begin a new connection: what the other end has not `seen` is sent again. Raises BrokenProtocol."""
        self._confirm(seen)
        self._unsent_from = self._kept_from

    def receive(self, seq: int, seen: int, messages: Sequence[Received]) -> Sequence[Received]:
        """Return those of a batch's messages that are new. Raises BrokenProtocol."""
        self._confirm(seen)
        if seq > self._seen + 1:
            raise BrokenProtocol(f"message {seq} came after message {self._seen}")
        fresh = messages[self._seen + 1 - seq :]
        self._seen = max(self._seen, seq + len(messages) - 1)
        return fresh

    def _confirm(self, seen: int) -> None:
        if seen > self.posted:
            raise BrokenProtocol(f"message {seen} was confirmed and never sent")
        while self._kept_from <= seen:
            self._kept.popleft()
            self._kept_from += 1
        self._unsent_from = max(self._unsent_from, self._kept_from)
