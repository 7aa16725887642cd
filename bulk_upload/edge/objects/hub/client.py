"""HTTP as the Hub wants it: the token for the Hub alone, redirects to where the bytes are, answers in pages."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
from tenacity import (
    AsyncRetrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)
from yarl import URL

from bulk_upload.core.objects.address import is_plain_to_elsewhere
from bulk_upload.core.objects.hub import HUB_ENDPOINT
from bulk_upload.core.run.source import SourceError
from bulk_upload.core.text.printable import human_seconds
from bulk_upload.edge.objects.failures import error_of_status, no_answer
from bulk_upload.edge.objects.stores import RETRIES_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bulk_upload.core.objects.options import SourceOptions

REDIRECTS_MAX = 5
PAGE_BYTES_MAX = 64 * 1024 * 1024
"""A page has a thousand files, and a megabyte at most: more is no answer of a Hub."""

BUFFER_BYTES = 1024 * 1024
WAIT_S_INITIAL = 0.05
WAIT_S_MAX = 5.0
_ELSEWHERE = frozenset({301, 302, 303, 307, 308})
_TOKEN_BYTES_MAX = 64 * 1024


class Page(NamedTuple):
    """One answer of the API, and where the next page is."""

    content: bytes
    next_url: str | None


class HubClient:
    """Asks one endpoint of a Hub. All of it runs on one event loop.

    Args:
        options: its endpoint, and its token.
        allow_plain_http: whether it may send on to other machines without encryption.
        stall_s: how long it may take to answer.
    """

    def __init__(self, options: SourceOptions, *, allow_plain_http: bool, stall_s: float) -> None:
        self._endpoint = URL((options.endpoint or HUB_ENDPOINT).rstrip("/"), encoded=True)
        self._options = options
        self._allow_plain_http = allow_plain_http
        self._stall_s = stall_s
        self._session: aiohttp.ClientSession | None = None
        self._authorization: str | None = None

    async def page(self, path: str, *, named: Mapping[str, Any] | None = None) -> Page:
        """Return an answer of the API at a path after the endpoint, or at a whole URL of a next page.

        `named` is posted as JSON. Raises SourceError.
        """
        async for attempt in _attempts(self._stall_s):
            with attempt:
                return await self._page(path, named)
        raise AssertionError("the last attempt raises")

    async def open(self, path: str, *, first_byte: int = 0, end: int | None = None) -> aiohttp.ClientResponse:
        """Ask for the bytes of a file from `first_byte` to before `end`. Raises SourceError."""
        headers = {}
        if first_byte or end is not None:
            headers["Range"] = f"bytes={first_byte}-{'' if end is None else end - 1}"
        async for attempt in _attempts(self._stall_s):
            with attempt:
                response = await self._send("GET", self._url(path), headers=headers)
                if headers and not _begins_at(response, first_byte):
                    response.close()
                    raise SourceError("the Hub does not serve parts of the file")
                return response
        raise AssertionError("the last attempt raises")

    async def close(self) -> None:
        """End the connections."""
        if self._session is not None:
            await self._session.close()

    async def _page(self, path: str, named: Mapping[str, Any] | None) -> Page:
        response = await self._send("GET" if named is None else "POST", self._url(path), named=named)
        async with response, _in_words(self._stall_s):
            content = await response.content.read(PAGE_BYTES_MAX + 1)
            while content and not response.content.at_eof() and len(content) <= PAGE_BYTES_MAX:
                content += await response.content.read(PAGE_BYTES_MAX)
            if len(content) > PAGE_BYTES_MAX:
                raise SourceError("the Hub's answer is longer than a page of files can be")
            following = response.links.get("next")
            return Page(content, None if following is None else str(following.get("url", "")))

    async def _send(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str] | None = None,
        named: Mapping[str, Any] | None = None,
    ) -> aiohttp.ClientResponse:
        """Send a request, and follow where the Hub sends on to; the token stays with the Hub."""
        for _ in range(REDIRECTS_MAX + 1):
            sent = dict(headers or {})
            if url.origin() == self._endpoint.origin() and (token := self._token()) is not None:
                sent["Authorization"] = token
            async with _in_words(self._stall_s):
                response = await self._opened().request(
                    method, url, headers=sent, json=named, allow_redirects=False
                )
            location = response.headers.get("Location")
            if response.status not in _ELSEWHERE or location is None:
                break
            response.release()
            url = self._further(url, location)
        else:
            raise SourceError("the Hub sends on in circles", inaccessible=True)
        if response.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            response.close()
            raise error_of_status(response.status, response.headers.get("X-Error-Code"))
        return response

    def _further(self, url: URL, location: str) -> URL:
        try:
            further = url.join(URL(location, encoded=True))
            is_plain = is_plain_to_elsewhere(further.scheme, further.authority)
        except ValueError:
            raise SourceError("the Hub sends on to what is no address", inaccessible=True) from None
        if further.scheme not in ("https", "http") or (is_plain and not self._allow_plain_http):
            raise SourceError(
                "the Hub sends on to another machine that is reached without encryption", inaccessible=True
            )
        return further

    def _url(self, path: str) -> URL:
        if not path.startswith("/"):
            # Of a next page: one elsewhere would be asked without the token, and answer with anything.
            url = URL(path, encoded=True)
            if url.origin() != self._endpoint.origin():
                raise SourceError("the Hub's next page is on another machine", inaccessible=True)
            return url
        return URL(f"{self._endpoint}{path}", encoded=True)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                # Of a compressed answer neither size nor hash would be the file's.
                headers={"Accept-Encoding": "identity"},
                proxy=self._options.proxy,
                read_bufsize=BUFFER_BYTES,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=min(10.0, self._stall_s), sock_read=self._stall_s
                ),
            )
        return self._session

    def _token(self) -> str | None:
        if self._authorization is None:
            token = self._options.bearer_token or _read_token(self._options.token_file) or ""
            self._authorization = f"Bearer {token}" if token else ""
        return self._authorization or None


def _read_token(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        with open(os.fspath(path), "rb") as file:
            token = file.read(_TOKEN_BYTES_MAX).decode("ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise SourceError("the file with the token of the Hub cannot be read", inaccessible=True) from None
    return token if token.isprintable() else None


def _attempts(stall_s: float) -> AsyncRetrying:
    """Return the attempts of one question; as with obstore, all of them end with the time that a store may stand still."""
    return AsyncRetrying(
        stop=stop_after_attempt(RETRIES_MAX) | stop_after_delay(stall_s),
        wait=wait_random_exponential(multiplier=WAIT_S_INITIAL, max=WAIT_S_MAX),
        retry=retry_if_exception(lambda error: isinstance(error, SourceError) and error.transient),
        reraise=True,
    )


def _begins_at(response: aiohttp.ClientResponse, first_byte: int) -> bool:
    placed = response.headers.get("Content-Range", "")
    return response.status == HTTPStatus.PARTIAL_CONTENT and placed.startswith(f"bytes {first_byte}-")


@asynccontextmanager
async def _in_words(stall_s: float) -> AsyncIterator[None]:
    try:
        yield
    except TimeoutError:
        raise no_answer(human_seconds(stall_s)) from None
    except (aiohttp.ClientError, OSError):
        raise SourceError("the Hub could not be reached, or its answer broke off", transient=True) from None
