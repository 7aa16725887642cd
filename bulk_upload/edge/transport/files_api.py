"""Queries about the files on a server, and one command: delete. All may be repeated."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import anyio
from yarl import URL

from bulk_upload.core.api.responses import ANSWER_BYTES_MAX, listed_files, looked_up_file, reason_of
from bulk_upload.core.api.retry_after import retry_after_s
from bulk_upload.core.api.tls_trouble import USE_HTTPS, answers_in_tls
from bulk_upload.core.doubt.content import ReadBack
from bulk_upload.core.run.records import listed_without_secret
from bulk_upload.edge.transport.answers import lower_case_headers, read_at_most
from bulk_upload.edge.transport.content import ContentReader
from bulk_upload.edge.transport.no_answer import NoAnswer, naming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    import aiohttp

    from bulk_upload.core.api.secret import Secret
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.model import ListedFile
    from bulk_upload.edge.transport.credentials import Credentials

LIST_BYTES_MAX = 4 * 1024 * 1024
"""A page of 100 FileResponses is about 40 KiB."""


class FilesApi:
    """Asks one server about its files.

    Args:
        session: with the headers of every request.
        files_url: answers lists; a file's own address is below it.
        asked_at_once_max: how many queries may be unanswered.
        quiet_s: abort a query after this long without a byte.
        credentials: the key, which is also removed from the server's messages.
        authorization: makes headers of a key.
        clock: resolves a Retry-After date.
        on_headers: called with the headers of every answer.
        id_field: the field of an answer with a file's id.
        content_path: follows a file's address where its content is, None where the server returns none.
        bare_session: without the headers of the server's requests, for content that lies on another host.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        files_url: URL,
        *,
        asked_at_once_max: int,
        quiet_s: float,
        credentials: Credentials,
        authorization: Callable[[Secret], dict[str, str]],
        clock: Clock,
        on_headers: Callable[[Mapping[str, str]], None],
        id_field: str = "id",
        content_path: str | None = "/content",
        bare_session: aiohttp.ClientSession | None = None,
    ) -> None:
        self._session = session
        self._files_url = files_url
        self._turns = asyncio.Semaphore(asked_at_once_max)
        self._quiet_s = quiet_s
        self._credentials = credentials
        self._authorization = authorization
        self._clock = clock
        self._on_headers = on_headers
        self._id_field = id_field
        self._content_path = content_path
        self._contents = ContentReader(
            partial(self._asked, "GET", waits_turn=False),
            bare_session,
            origin=files_url.origin(),
            quiet_s=quiet_s,
            refused=self._refused,
        )

    async def list_page(self, *, limit: int, offset: int) -> list[ListedFile]:
        """Return one page of the server's list, newest first, with what has no usable id. Raises NoAnswer."""
        query: dict[str, str | int] = {
            "limit": limit,
            "offset": offset,
            "sort_by": "created_at",
            "sort_order": "desc",
        }
        what = "the server's list"
        async with self._asked("GET", self._files_url.with_query(query), what) as response:
            body = await self._read(response, LIST_BYTES_MAX, what)
        files = listed_files(body, id_field=self._id_field) if response.status == 200 else None
        if files is None:
            raise self._unusable(response, body, what)
        return [listed_without_secret(one, self._credentials) for one in files]

    async def look_up(self, file_id: str) -> ListedFile | None:
        """Return one file by its id, None where the server does not know it. Raises NoAnswer."""
        what = f"looking up {file_id}"
        async with self._asked("GET", self._url_of(file_id), what) as response:
            body = await self._read(response, ANSWER_BYTES_MAX, what)
        if response.status == 404:
            return None
        file = looked_up_file(body, id_field=self._id_field) if response.status == 200 else None
        if file is None or file.file_id != file_id:
            raise self._unusable(response, body, what)
        harmless = listed_without_secret(file, self._credentials)
        return harmless if harmless.has_id else None

    async def delete(self, file_id: str) -> bool:
        """Delete a file; return False where the server does not know it. Raises NoAnswer."""
        what = f"deleting {file_id}"
        async with self._asked("DELETE", self._url_of(file_id), what) as response:
            body = await self._read(response, ANSWER_BYTES_MAX, what)
        if response.status == 404:
            return False
        if not 200 <= response.status < 300:
            raise self._unusable(response, body, what)
        return True

    async def sha256_of(self, file_id: str) -> str | None:
        """Return the hash of the content that the server returns for a file, None where it returns none. Raises
        NoAnswer."""
        return (await self.read_back(file_id)).sha256

    async def read_back(
        self, file_id: str, *, file_bytes: int | None = None, ranges: tuple[ByteRange, ...] = ()
    ) -> ReadBack:
        """Return the hash of a file's content, by ranges where some are given and the server serves them, else of all of
        it; of a content that has not `file_bytes` bytes only the length. Raises NoAnswer."""
        if self._content_path is None:
            return ReadBack(
                sha256=None, read_bytes=0, reason="its profile says that the server returns no content"
            )
        url = URL(f"{self._url_of(file_id)}{self._content_path}", encoded=True)
        return await self._contents.read_back(
            url, f"reading {file_id} back", file_bytes=file_bytes, ranges=ranges
        )

    async def download(
        self, file_id: str, write: Callable[[bytes], object], *, file_bytes: int | None
    ) -> ReadBack:
        """Write a file's content, piece by piece, and return its hash and length; without either and with the reason
        where the server returns none. Raises NoAnswer."""
        url = URL(f"{self._url_of(file_id)}{self._content_path or ''}", encoded=True)
        return await self._contents.copy(url, f"reading {file_id}", write, file_bytes=file_bytes)

    def _url_of(self, file_id: str) -> URL:
        return URL(f"{self._files_url}/{file_id}", encoded=True)

    @asynccontextmanager
    async def _asked(
        self,
        method: str,
        url: URL,
        what: str,
        *,
        headers: Mapping[str, str] | None = None,
        waits_turn: bool = True,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self._turns if waits_turn else nullcontext():
            key = self._credentials.current
            response = await self._request(method, url, what, key, headers or {})
            if response.status == 401 and await self._credentials.renew(key):
                response.close()
                response = await self._request(method, url, what, self._credentials.current, headers or {})
            try:
                self._on_headers(lower_case_headers(response))
                yield response
            finally:
                if not response.content.at_eof():
                    response.close()
                response.release()

    async def _request(
        self, method: str, url: URL, what: str, key: Secret, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        with naming(what), anyio.fail_after(self._quiet_s):
            return await self._session.request(
                method, url, headers={**headers, **self._authorization(key)}, allow_redirects=False
            )

    async def _read(self, response: aiohttp.ClientResponse, bytes_max: int, what: str) -> bytes:
        with naming(what), anyio.fail_after(self._quiet_s):
            return await read_at_most(response, bytes_max)

    async def _refused(self, response: aiohttp.ClientResponse, what: str) -> NoAnswer:
        return self._unusable(response, await self._read(response, ANSWER_BYTES_MAX, what), what)

    def _unusable(self, response: aiohttp.ClientResponse, body: bytes, what: str) -> NoAnswer:
        # Before the text is cut, and after: a partial key would no longer be found, and JSON may escape it.
        body = self._credentials.redact_bytes(body)
        reason = self._credentials.redact(reason_of(response.status, body))
        return NoAnswer(
            f"{what} gave no usable answer ({reason})",
            http_status=response.status,
            remedy=USE_HTTPS if response.status == 400 and answers_in_tls(reason) else None,
            retry_after_s=retry_after_s(lower_case_headers(response), now_utc_s=self._clock.utc_s()),
        )
