"""The request body: one payload for the whole form, with a known size, sent at most once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from aiohttp.payload import Payload

from bulk_upload.core.source import LoadedFile, SourceError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from aiohttp.abc import AbstractStreamWriter

    from bulk_upload.core.multipart import Frame
    from bulk_upload.core.source import FileStream, Source


class UploadBody(Payload):
    """A form with one file, written straight from disk.

    aiohttp counts PUT as idempotent and by itself repeats a request whose connection broke, unless the payload
    says `consumed`; this one always says so. Its size is known, so the request carries a Content-Length, and it
    never writes more or less than that: a file that moved raises before the last block is handed over.
    """

    def __init__(self, frame: Frame, source: Source, *, on_handed: Callable[[int], None]) -> None:
        super().__init__(None, content_type="application/octet-stream")
        self._frame = frame
        self._source = source
        self._on_handed = on_handed
        self._size = frame.body_bytes(source.fingerprint.size)
        self._transport: asyncio.BaseTransport | None = None
        self.handed_bytes = 0
        self.complete = False
        self.failure: SourceError | None = None

    @property
    def consumed(self) -> bool:
        """Always True: aiohttp must never write this body a second time."""
        return True

    @property
    def sha256(self) -> str | None:
        """The hash of the file, once all of it was read."""
        return self._source.sha256 if self.complete else None

    @property
    def left_bytes(self) -> int:
        """Bytes that went to the operating system: handed over and no longer in our own buffer."""
        if self._transport is None or self._transport.is_closing():
            return self.handed_bytes
        buffered: int = self._transport.get_write_buffer_size()  # type: ignore[attr-defined]  # a WriteTransport
        return max(0, self.handed_bytes - buffered)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:  # noqa: ARG002
        """Write the form. Raises SourceError with the body incomplete."""
        self._transport = getattr(writer, "transport", None)
        try:
            if isinstance(self._source, LoadedFile):
                await self._hand_over(writer, self._frame.prefix + self._source.content + self._frame.suffix)
            else:
                await self._stream(writer, self._source)
        except SourceError as error:
            self.failure = error
            raise

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the form; older callers of the payload interface use this name."""
        await self.write_with_length(writer, None)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> NoReturn:  # noqa: ARG002
        """Refuse: the body exists only on its way out."""
        raise TypeError("an upload body is never held in memory")

    async def _stream(self, writer: AbstractStreamWriter, file: FileStream) -> None:
        piece = self._frame.prefix
        left_bytes = file.fingerprint.size
        while True:
            block = await file.read()
            left_bytes -= len(block)
            if left_bytes == 0:
                break
            await self._hand_over(writer, piece + block if piece else block)
            piece = b""
        await self._hand_over(writer, piece + block + self._frame.suffix)

    async def _hand_over(self, writer: AbstractStreamWriter, data: bytes) -> None:
        # Marked before the write: "not complete" must be proof that the server cannot have the file.
        if self.handed_bytes + len(data) == self._size:
            self.complete = True
        self.handed_bytes += len(data)
        self._on_handed(len(data))
        await writer.write(data)
