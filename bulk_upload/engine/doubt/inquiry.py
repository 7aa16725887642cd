"""Queries of a command about the server's files: each is answered, or raises an error for people."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol, TypeVar

from bulk_upload.core.content_hash import SHA256_ONLY
from bulk_upload.core.run.ports import ContentApi, FilesApi
from bulk_upload.core.text.printable import human_seconds
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.errors import CredentialsRefused, ServerUnusable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bulk_upload.core.api.paging import ListedPage, PageRequest
    from bulk_upload.core.content_hash import HashFunction
    from bulk_upload.core.doubt.content import ByteRange, ReadBack
    from bulk_upload.core.model import ListedFile
    from bulk_upload.engine.doubt.api_retry import ApiRetry

T = TypeVar("T")


class Server(FilesApi, Protocol):
    """The Files API, including the call that changes the server. Every call may be repeated and raises NoAnswer where
    there is no answer."""

    async def delete(self, file_id: str) -> bool:
        """Delete a file; return False where the server does not know it."""


class ContentServer(ContentApi, Server, Protocol):
    """A Server that also returns contents, also in ranges."""

    async def download(
        self,
        file_id: str,
        write: Callable[[bytes], object],
        *,
        file_bytes: int | None,
        functions: tuple[HashFunction, ...],
    ) -> ReadBack:
        """Write a file's content, piece by piece, and return its hashes and length."""


class RequestDenied(ServerUnusable):
    """The server understood a query about one file and refused: a retry will not help."""


class Inquiry:
    """Queries a server about its files. Every call may raise CredentialsRefused, RequestDenied, ServerUnusable."""

    def __init__(self, server: Server, api_retry: ApiRetry) -> None:
        self._server = server
        self._api_retry = api_retry

    @property
    def clock_offset_s(self) -> float | None:
        """The server's clock minus ours, None while that is unknown."""
        return self._server.clock_offset_s

    async def list_page(self, request: PageRequest) -> ListedPage:
        """Return one page of the list."""
        return await self._ask(partial(self._server.list_page, request))

    async def look_up(self, file_id: str) -> ListedFile | None:
        """Return one file, None where the server does not know it."""
        return await self._ask(partial(self._server.look_up, file_id))

    async def delete(self, file_id: str) -> bool:
        """Delete a file; return False where the server does not know it."""
        return await self._ask(partial(self._server.delete, file_id))

    async def hashes_of(self, file_id: str, functions: tuple[HashFunction, ...]) -> tuple[str, ...]:
        """Return the hashes of the content that the server returns for a file, none where it returns no content.

        Raises RequestDenied where the server shows the file and refuses its content.
        """
        return await self._ask(partial(self._server.hashes_of, file_id, functions), is_content=True)

    async def _ask(self, call: Callable[[], Awaitable[T]], *, is_content: bool = False) -> T:
        try:
            return await self._api_retry.answer(call)
        except NoAnswer as error:
            if is_content and error.http_status == HTTPStatus.FORBIDDEN:
                # Whoever reads a content has seen the file with the same key.
                raise _denied(error) from None
            raise self._translated(error) from None

    def _translated(self, error: NoAnswer) -> ServerUnusable | CredentialsRefused:
        if error.http_status in (401, 403):
            return CredentialsRefused(
                f"the server does not accept the API key: {error}", hint="use a valid key of the job's team"
            )
        if error.remedy is not None:
            return ServerUnusable(f"the server cannot be reached: {error}", hint=error.remedy)
        if error.final:
            return _denied(error)
        if error.retry_after_s is not None and not self._api_retry.waits_for(error):
            return ServerUnusable(
                f"the server asks to wait {human_seconds(error.retry_after_s)}: {error}",
                hint="run the same command again then",
            )
        return ServerUnusable(str(error), hint="run the same command again once the server answers")


def _denied(error: NoAnswer) -> RequestDenied:
    return RequestDenied(str(error), hint="see the server's message; running again will not help")


class ContentInquiry(Inquiry):
    """An Inquiry that also compares contents, and fetches them."""

    def __init__(self, server: ContentServer, api_retry: ApiRetry) -> None:
        super().__init__(server, api_retry)
        self._contents = server

    async def read_back(
        self,
        file_id: str,
        *,
        file_bytes: int,
        ranges: tuple[ByteRange, ...] = (),
        functions: tuple[HashFunction, ...] = SHA256_ONLY,
    ) -> ReadBack:
        """Return the hashes of a file's content, by ranges where some are given and the server serves them."""
        asked = partial(
            self._contents.read_back, file_id, file_bytes=file_bytes, ranges=ranges, functions=functions
        )
        return await self._ask(asked)

    async def content_of(
        self, file_id: str, *, file_bytes: int, functions: tuple[HashFunction, ...]
    ) -> ReadBack:
        """Return the hashes of a file's content, or why there is none; of one that has not `file_bytes` bytes the length.

        Raises RequestDenied where the server shows the file and refuses its content.
        """
        asked = partial(self._contents.read_back, file_id, file_bytes=file_bytes, functions=functions)
        return await self._ask(asked, is_content=True)

    async def download(
        self,
        file_id: str,
        write: Callable[[bytes], object],
        *,
        file_bytes: int | None,
        functions: tuple[HashFunction, ...],
        restart: Callable[[], object] | None,
    ) -> ReadBack:
        """Write a file's content, piece by piece, and return its hashes and length.

        `restart` takes back what was written, and the request is made again after a failure; None where that is impossible.
        """

        async def once() -> ReadBack:
            if restart is not None:
                restart()
            return await self._contents.download(file_id, write, file_bytes=file_bytes, functions=functions)

        if restart is not None:
            return await self._ask(once)
        try:
            return await once()
        except NoAnswer as error:
            raise self._translated(error) from None
