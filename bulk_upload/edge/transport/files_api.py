"""Queries about the files on a server, and one command: delete. All may be repeated."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import anyio

from bulk_upload.core.api.paging import ListedPage
from bulk_upload.core.api.profile import Paging
from bulk_upload.core.api.responses import (
    ANSWER_BYTES_MAX,
    LISTED_BYTES_MAX,
    is_plausible_success,
    listed_page,
    looked_up_file,
    reason_of,
)
from bulk_upload.core.api.retry_after import retry_after_s
from bulk_upload.core.api.tls_trouble import USE_HTTPS, answers_in_tls
from bulk_upload.core.content_hash import SHA256_ONLY
from bulk_upload.core.doubt.content import ReadBack
from bulk_upload.core.run.records import listed_without_secret
from bulk_upload.edge.transport.addresses import file_url, list_url
from bulk_upload.edge.transport.answers import lower_case_headers, read_at_most
from bulk_upload.edge.transport.content import ContentReader
from bulk_upload.edge.transport.no_answer import NoAnswer, naming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    import aiohttp
    from yarl import URL

    from bulk_upload.core.api.paging import PageRequest
    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.api.secret import Secret
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.content_hash import HashFunction
    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.model import ListedFile
    from bulk_upload.edge.transport.credentials import Credentials

LIST_BYTES_MAX = 4 * 1024 * 1024
"""A page of 100 FileResponses is about 40 KiB."""

WHOLE_LIST_BYTES_MAX = 64 * 1024 * 1024
"""A list without pages has all files in one answer: this is room for 100,000 of them."""


class FilesApi:
    """Asks one server about its files.

    Args:
        session: with the headers of every request.
        endpoint: of the server.
        profile: says where files are listed, and how; a file's own address is below that of the list.
        asked_at_once_max: how many queries may be unanswered.
        quiet_s: abort a query after this long without a byte.
        credentials: the key, which is also removed from the server's messages.
        authorization: makes headers of a key.
        clock: resolves a Retry-After date.
        on_headers: called with the headers of every answer.
        bare_session: without the headers of the server's requests, for content that lies on another host.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: str,
        profile: Profile,
        *,
        asked_at_once_max: int,
        quiet_s: float,
        credentials: Credentials,
        authorization: Callable[[Secret], dict[str, str]],
        clock: Clock,
        on_headers: Callable[[Mapping[str, str]], None],
        bare_session: aiohttp.ClientSession | None = None,
    ) -> None:
        self._session = session
        self._profile = profile
        self._endpoint = endpoint
        self._turns = asyncio.Semaphore(asked_at_once_max)
        self._quiet_s = quiet_s
        self._credentials = credentials
        self._authorization = authorization
        self._clock = clock
        self._on_headers = on_headers
        self._contents = ContentReader(
            partial(self._asked, "GET", waits_turn=False),
            bare_session,
            origin=list_url(endpoint, profile).origin(),
            quiet_s=quiet_s,
            refused=self._refused,
        )

    async def list_page(self, request: PageRequest) -> ListedPage:
        """Return one page of the server's list, with what has no usable id. Raises NoAnswer."""
        url = list_url(self._endpoint, self._profile).update_query(request.query(self._profile.paging))
        bytes_max = max(LIST_BYTES_MAX, request.limit * LISTED_BYTES_MAX)
        if self._profile.paging is Paging.NONE:
            bytes_max = WHOLE_LIST_BYTES_MAX
        what = "the server's list"
        async with self._asked("GET", url, what) as response:
            body = await self._read(response, bytes_max, what)
        page = listed_page(body, self._profile) if response.status == 200 else None
        if page is None:
            raise self._unusable(response, body, what)
        return ListedPage(
            [listed_without_secret(one, self._credentials) for one in page.files], page.next_page
        )

    async def look_up(self, file_id: str) -> ListedFile | None:
        """Return one file by its id, None where the server does not know it. Raises NoAnswer."""
        what = f"looking up {file_id}"
        async with self._asked("GET", self._url_of(file_id), what) as response:
            body = await self._read(response, ANSWER_BYTES_MAX, what)
        if response.status == 404:
            return None
        file = looked_up_file(body, self._profile) if response.status == 200 else None
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
        if not (200 <= response.status < 300 and is_plausible_success(body)):
            raise self._unusable(response, body, what)
        return True

    async def hashes_of(self, file_id: str, functions: tuple[HashFunction, ...]) -> tuple[str, ...]:
        """Return the hashes of the content that the server returns for a file, none where it returns no content. Raises
        NoAnswer."""
        return (await self.read_back(file_id, functions=functions)).hashes

    async def read_back(
        self,
        file_id: str,
        *,
        file_bytes: int | None = None,
        ranges: tuple[ByteRange, ...] = (),
        functions: tuple[HashFunction, ...] = SHA256_ONLY,
    ) -> ReadBack:
        """Return the hashes of a file's content, by ranges where some are given and the server serves them, else of all of
        it; of a content that has not `file_bytes` bytes only the length. Raises NoAnswer."""
        if not self._profile.can_read_back:
            return ReadBack(read_bytes=0, reason="its profile says that the server returns no content")
        return await self._contents.read_back(
            self._url_of(file_id, self._profile.content_path),
            f"reading {file_id} back",
            file_bytes=file_bytes,
            ranges=ranges,
            functions=functions,
        )

    async def download(
        self,
        file_id: str,
        write: Callable[[bytes], object],
        *,
        file_bytes: int | None,
        functions: tuple[HashFunction, ...],
    ) -> ReadBack:
        """Write a file's content, piece by piece, and return its hashes and length; without either and with the reason
        where the server returns none. Raises NoAnswer."""
        url = self._url_of(file_id, self._profile.content_path)
        return await self._contents.copy(
            url, f"reading {file_id}", write, file_bytes=file_bytes, functions=functions
        )

    def _url_of(self, file_id: str, beneath: str = "") -> URL:
        return file_url(self._endpoint, self._profile, file_id, beneath)

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
