"""The API key in use, and its successor when it is rotated during a run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bulk_upload.errors import BulkUploadError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bulk_upload.core.api.secret import Secret


class Credentials:
    """Holds the key. A key that was read again gets one chance: if it is refused before it worked, that is final.

    Args:
        key: the first one.
        read_again: reads the key where it came from; blocks. None where it cannot be read again.
        ask_again: takes its place where another process has the key.
    """

    def __init__(
        self,
        key: Secret,
        read_again: Callable[[], Secret] | None,
        ask_again: Callable[[], Awaitable[Secret]] | None = None,
    ) -> None:
        self.current = key
        self._read_again = read_again
        self._ask_again = ask_again
        self._former: list[Secret] = []
        self._untried = False
        self._renewing = asyncio.Lock()

    def redact(self, text: str) -> str:
        """Return text without any key that this run has used."""
        for key in (self.current, *self._former):
            text = key.redact(text)
        return text

    def redact_bytes(self, data: bytes) -> bytes:
        """Return bytes without any key that this run has used."""
        for key in (self.current, *self._former):
            data = key.redact_bytes(data)
        return data

    def clean(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return headers whose values show no key."""
        # All values in one search: nearly no answer shows a key, and none has a line break.
        if not self.betrayed_by("\n".join(headers.values())):
            return dict(headers)
        return {
            name: self.redact(value) if self.betrayed_by(value) else value for name, value in headers.items()
        }

    def betrayed_by(self, text: str) -> bool:
        """Whether text shows a key that this run has used, and not by chance."""
        if self.current.betrayed_by(text):
            return True
        return any(key.betrayed_by(text) for key in self._former)

    def worked(self, key: Secret) -> None:
        """Record that the server accepted a key."""
        if key is self.current:
            self._untried = False

    async def renew(self, refused: Secret) -> bool:
        """Read the key again after one was refused; return whether there is another one to try."""
        async with self._renewing:
            if self.current is not refused:
                return True
            if self._untried:
                return False
            try:
                if self._ask_again is not None:
                    key = await self._ask_again()
                elif self._read_again is not None:
                    key = await asyncio.to_thread(self._read_again)
                else:
                    return False
            except BulkUploadError:
                # The refusal is the better message: it says why the server refused the key.
                return False
            if key.reveal() == refused.reveal():
                return False
            self._former.append(refused)
            self.current = key
            self._untried = True
            return True
