"""A file of a filesystem that is read once, on the thread of its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from bulk_upload.core.model import Fingerprint


REQUEST_BYTES = 32 * 1024
"""What a server of SFTP must be able to return at once (draft-ietf-secsh-filexfer, section 3)."""


class FileAnswer:
    """The content of an open file; see `Answer`. Nothing binds it to a version: it is looked at again at its end.

    Args:
        file: the open file.
        fingerprint: of the version that it was just before it was opened.
        wanted_bytes: how many bytes are wanted.
        is_part: whether more than those may follow.
        look: returns the version that it is now.
        run: runs a call on the thread, and waits for it.
        let_go: closes the file, and gives its connection back.
    """

    is_bound = False

    def __init__(
        self,
        file: Any,  # noqa: ANN401 - fsspec has no types
        *,
        fingerprint: Fingerprint,
        wanted_bytes: int,
        is_part: bool,
        look: Callable[[], Awaitable[Fingerprint]],
        run: Callable[[Callable[[Any], bytes]], Awaitable[bytes]],
        let_go: Callable[[], None],
    ) -> None:
        self.fingerprint = fingerprint
        self._file = file
        self._left_bytes = wanted_bytes
        self._is_part = is_part
        self._look = look
        self._run = run
        self._let_go = let_go
        self._is_closed = False

    def blocks(self, least_bytes: int) -> AsyncIterator[bytes]:
        """Return the content in blocks of so many bytes."""
        return _Blocks(self, least_bytes)

    async def whole(self) -> bytes:
        """Return the content. Raises SourceError."""
        return b"".join([block async for block in self.blocks(self._left_bytes + 1)])

    async def read(self, wanted_bytes: int) -> bytes:
        """Return the next block, an empty one at the end; one byte more than there should be, if there is. Raises
        SourceError."""
        count = min(wanted_bytes, self._left_bytes) or (0 if self._is_part else 1)
        if not count:
            return b""
        block = await self._run(lambda _: read_block(self._file, count))
        self._left_bytes -= min(len(block), self._left_bytes)
        return block

    async def look(self) -> Fingerprint:
        """Return the present version of the file. Raises SourceError."""
        # By the same connection: others may be in use by all who wait here.
        return await self._look()

    def close(self) -> None:
        """Give the connection back."""
        if not self._is_closed:
            self._is_closed = True
            self._let_go()


def read_block(file: Any, count: int) -> bytes:  # noqa: ANN401 - as above
    """Return so many of the next bytes of a file, fewer at its end.

    A file of paramiko sends one request for 32 KiB after the other, and waits for each: those of a block are sent at once.
    """
    if not hasattr(file, "readv"):
        return bytes(file.read(count))
    start = file.tell()
    places = [
        (start + offset, min(REQUEST_BYTES, count - offset)) for offset in range(0, count, REQUEST_BYTES)
    ]
    return b"".join(file.readv(places))


class _Blocks:
    def __init__(self, answer: FileAnswer, wanted_bytes: int) -> None:
        self._answer = answer
        self._wanted_bytes = wanted_bytes

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        block = await self._answer.read(self._wanted_bytes)
        if not block:
            raise StopAsyncIteration
        return block
