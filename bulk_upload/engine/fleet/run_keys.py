"""The API key of a run with agents: read again, once for all of them, when the server refuses it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from bulk_upload.core.fleet.messages import NewKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.api.secret import Secret


class Renewing(Protocol):
    """Holds the key of a run, as `edge.transport.credentials.Credentials` does."""

    current: Secret

    async def renew(self, refused: Secret) -> bool:
        """Read the key again after one was refused; return whether there is another one to try."""

    def worked(self, key: Secret) -> None:
        """Record that the server accepted a key."""


class RunKeys:
    """`RunKey` with the credentials that this process itself uses: all have the same key.

    Args:
        credentials: of the run.
    """

    def __init__(self, credentials: Renewing) -> None:
        self._credentials = credentials
        self._known = [credentials.current]
        self._questions: asyncio.Queue[tuple[int, Callable[[NewKey], None]]] = asyncio.Queue()

    @property
    def number(self) -> int:
        """The number of the current key."""
        if self._credentials.current is not self._known[-1]:
            self._known.append(self._credentials.current)
        return len(self._known) - 1

    def reveal(self) -> str:
        """Return the current key."""
        return self._credentials.current.reveal()

    def ask(self, refused_number: int, answer: Callable[[NewKey], None]) -> None:
        """Have `answer` called with the key that takes the place of one that was refused."""
        self._questions.put_nowait((refused_number, answer))

    def worked(self, number: int) -> None:
        """Record that the server accepted the key with this number."""
        if number == self.number:
            self._credentials.worked(self._credentials.current)

    async def serve(self) -> None:
        """Answer questions, one after the other, for ever."""
        while True:
            refused_number, answer = await self._questions.get()
            has_other = refused_number < self.number
            if not has_other:
                has_other = await self._credentials.renew(self._credentials.current)
            answer(NewKey(number=self.number, key=self.reveal() if has_other else None))
