"""Reads the content of files back from the server, whole or by ranges, and hashes it or passes it on."""

from __future__ import annotations

import asyncio
import re
import zlib
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

import anyio
from yarl import URL

from bulk_upload.core.content_hash import ContentHasher
from bulk_upload.core.doubt.content import ReadBack
from bulk_upload.edge.transport.no_answer import NoAnswer, naming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    import aiohttp

    from bulk_upload.core.content_hash import HashFunction
    from bulk_upload.core.doubt.content import ByteRange

READ_AT_ONCE_MAX = 4
"""Connections that reading content takes at most, beside those of uploads and other queries."""

PIECE_BYTES = 256 * 1024

BYTES_PER_S_MIN = 4 * 1024
"""Content that comes more slowly is not waited for: a server that sends a byte now and then would never end."""

REDIRECTS_MAX = 3

_NOT_RETURNED = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
"""Answers of servers that return no content. 404 is among them: whoever asks has seen the file in the list."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_INFLATED = frozenset({"gzip", "x-gzip", "deflate"})
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.ASCII)


class ContentReader:
    """Reads contents of one server. Every call may be repeated and raises NoAnswer where there is no answer.

    Args:
        keyed: asks the server itself, with the key, as a context manager that yields the answer.
        bare_session: asks other hosts, without the key and the team; without one, no redirect is followed to them.
        origin: the server's own.
        quiet_s: abort a query after this long without a byte.
        refused: returns what to raise for an answer of the server that has no content.
    """

    def __init__(
        self,
        keyed: Callable[..., AbstractAsyncContextManager[aiohttp.ClientResponse]],
        bare_session: aiohttp.ClientSession | None,
        *,
        origin: URL,
        quiet_s: float,
        refused: Callable[[aiohttp.ClientResponse, str], Awaitable[NoAnswer]],
    ) -> None:
        self._keyed = keyed
        self._bare_session = bare_session
        self._origin = origin
        self._quiet_s = quiet_s
        self._refused = refused
        self._turns = asyncio.Semaphore(READ_AT_ONCE_MAX)

    async def read_back(
        self,
        url: URL,
        what: str,
        *,
        file_bytes: int | None,
        ranges: tuple[ByteRange, ...],
        functions: tuple[HashFunction, ...],
    ) -> ReadBack:
        """Return the hashes of a content, by ranges where any are given and the server serves them, else of all of it.

        Where `file_bytes` is given, a content of another length is not read to its end.
        """
        async with self._turns:
            hashers, read_bytes = tuple(map(ContentHasher, functions)), 0
            for one in ranges:
                headers = {"Range": f"bytes={one.start}-{one.last}"}
                async with self._content(url, what, headers) as response:
                    if response.status == HTTPStatus.OK or response.status in _NOT_RETURNED:
                        return await self._whole(response, what, file_bytes, read_bytes, functions)
                    if not _is_range(response, one, file_bytes):
                        break
                    part = _Hashed(one.length, hashers)
                    read_bytes += await self._pour(response, what, part)
                    if part.count != one.length:
                        break
            else:
                if ranges:
                    return ReadBack(hashes=_texts(hashers), read_bytes=read_bytes, by_ranges=True)
            async with self._content(url, what, {}) as response:
                return await self._whole(response, what, file_bytes, read_bytes, functions)

    async def copy(
        self,
        url: URL,
        what: str,
        write: Callable[[bytes], object],
        *,
        file_bytes: int | None,
        functions: tuple[HashFunction, ...],
    ) -> ReadBack:
        """Write a whole content, piece by piece, and return its hashes and length.

        Where `file_bytes` is given, reading stops with the piece that goes beyond it.
        """
        async with self._turns, self._content(url, what, {}) as response:
            if response.status in _NOT_RETURNED:
                reason = f"the server returns no content, HTTP {response.status}"
                return ReadBack(read_bytes=0, reason=reason)
            if response.status != HTTPStatus.OK:
                raise await self._no_content(response, what)
            encoding = _encoding_of(response)
            # See `_whole`: of a length like the file's it is the file itself that is compressed.
            inflates = encoding in _INFLATED and (file_bytes is None or response.content_length != file_bytes)
            hashers = tuple(map(ContentHasher, functions))
            content = (_Inflated if inflates else _Hashed)(file_bytes, hashers, write=write)
            read_bytes = await self._pour(response, what, content)
            if content.damaged or (encoding not in _INFLATED | {"identity"} and content.count != file_bytes):
                reason = "its content comes in an encoding that cannot be read"
                return ReadBack(read_bytes=read_bytes, reason=reason)
            return ReadBack(hashes=content.hashes, read_bytes=read_bytes, total_bytes=content.count)

    async def _whole(
        self,
        response: aiohttp.ClientResponse,
        what: str,
        file_bytes: int | None,
        before_bytes: int,
        functions: tuple[HashFunction, ...],
    ) -> ReadBack:
        if response.status in _NOT_RETURNED:
            reason = f"the server returns no content, HTTP {response.status}"
            return ReadBack(read_bytes=before_bytes, reason=reason)
        if response.status != HTTPStatus.OK:
            raise await self._no_content(response, what)
        encoding = _encoding_of(response)
        length = response.content_length if encoding == "identity" else None
        if None not in (length, file_bytes) and length != file_bytes:
            return ReadBack(read_bytes=before_bytes, total_bytes=length)
        raw = _Hashed(file_bytes, tuple(map(ContentHasher, functions)))
        inflated = _Inflated(file_bytes, tuple(map(ContentHasher, functions)))
        into = (raw, inflated) if encoding in _INFLATED else (raw,)
        read_bytes = before_bytes + await self._pour(response, what, *into)
        # Servers also name an encoding where the file itself is compressed, and was stored and returned as it is.
        content = inflated if encoding in _INFLATED and raw.count != file_bytes else raw
        unknown = encoding not in _INFLATED | {"identity"} and raw.count != file_bytes
        if unknown or (content is inflated and inflated.damaged):
            reason = "its content comes in an encoding that cannot be read"
            return ReadBack(read_bytes=read_bytes, reason=reason)
        if content.is_over or (file_bytes is not None and content.count != file_bytes):
            return ReadBack(read_bytes=read_bytes, total_bytes=content.count)
        return ReadBack(hashes=content.hashes, read_bytes=read_bytes, total_bytes=content.count)

    async def _pour(self, response: aiohttp.ClientResponse, what: str, *into: _Hashed) -> int:
        """Hash what comes until it ends, or is too much for all of them; return how many bytes came."""
        loop = asyncio.get_running_loop()
        began_s, count = loop.time(), 0
        while not all(one.is_over for one in into):
            with naming(what), anyio.fail_after(self._quiet_s):
                piece = await response.content.read(PIECE_BYTES)
            if not piece:
                break
            count += len(piece)
            for one in into:
                one.update(piece)
            if loop.time() - began_s > self._quiet_s + count / BYTES_PER_S_MIN:
                raise NoAnswer(f"{what} failed: the content comes too slowly")
        return count

    @asynccontextmanager
    async def _content(
        self, url: URL, what: str, headers: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask for a content, and follow a redirect to the storage that it lies in."""
        headers = {"Accept": "*/*", **headers}
        for _ in range(1 + REDIRECTS_MAX):
            is_own = url.origin() == self._origin
            ask = self._keyed(url, what, headers=headers) if is_own else self._bare(url, what, headers)
            async with ask as response:
                if response.status not in _REDIRECTS:
                    yield response
                    return
                url = self._target(response, url, what)
        raise NoAnswer(f"{what} was redirected too often", http_status=HTTPStatus.FOUND)

    @asynccontextmanager
    async def _bare(
        self, url: URL, what: str, headers: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._bare_session is None:
            raise NoAnswer(f"{what} was redirected to {url.host}", http_status=HTTPStatus.FOUND)
        with naming(what, is_server=False), anyio.fail_after(self._quiet_s):
            response = await self._bare_session.get(url, headers=headers, allow_redirects=False)
        try:
            yield response
        finally:
            response.close()

    def _target(self, response: aiohttp.ClientResponse, url: URL, what: str) -> URL:
        """Return where a redirect leads. Never from TLS to a connection without it."""
        location = response.headers.get("Location", "")
        try:
            target = url.join(URL(location, encoded=True))
            target.origin()
        except ValueError:
            target = None
        if not location or target is None or target.scheme not in {"https", url.scheme}:
            raise NoAnswer(f"{what} was redirected to no usable address", http_status=response.status)
        return target

    async def _no_content(self, response: aiohttp.ClientResponse, what: str) -> NoAnswer:
        if response.url.origin() == self._origin:
            return await self._refused(response, what)
        # What a storage says may repeat the signature in the address.
        return NoAnswer(
            f"{what} gave no usable answer (HTTP {response.status} from {response.url.host})",
            http_status=response.status,
        )


class _Hashed:
    """Hashes and counts bytes, and passes them to `write`, up to those that go beyond `most`."""

    damaged = False

    def __init__(
        self,
        most: int | None,
        hashers: tuple[ContentHasher, ...],
        *,
        write: Callable[[bytes], object] | None = None,
    ) -> None:
        self._write = write
        self._hashers = hashers
        self._most = most
        self.count = 0

    @property
    def hashes(self) -> tuple[str, ...]:
        return _texts(self._hashers)

    @property
    def is_over(self) -> bool:
        return self._most is not None and self.count > self._most

    def update(self, piece: bytes) -> None:
        if not self.is_over:
            for hasher in self._hashers:
                hasher.update(piece)
            self.count += len(piece)
            if self._write is not None:
                self._write(piece)


class _Inflated(_Hashed):
    """The same of what a compressed body holds, as far as it is not `damaged`."""

    def __init__(
        self,
        most: int | None,
        hashers: tuple[ContentHasher, ...],
        *,
        write: Callable[[bytes], object] | None = None,
    ) -> None:
        super().__init__(most, hashers, write=write)
        # 32: with the header of gzip or of zlib.
        self._inflate = zlib.decompressobj(32 + zlib.MAX_WBITS)
        self.damaged = False

    def update(self, piece: bytes) -> None:
        try:
            while piece and not self.is_over and not self.damaged:
                super().update(self._inflate.decompress(piece, PIECE_BYTES))
                piece = self._inflate.unconsumed_tail
        except zlib.error:
            self.damaged = True


def _texts(hashers: Iterable[ContentHasher]) -> tuple[str, ...]:
    return tuple(one.text for one in hashers)


def _encoding_of(response: aiohttp.ClientResponse) -> str:
    return response.headers.get("Content-Encoding", "").strip().lower() or "identity"


def _is_range(response: aiohttp.ClientResponse, one: ByteRange, file_bytes: int | None) -> bool:
    """Whether an answer is the range that was asked for, of a content as long as it should be."""
    if response.status != HTTPStatus.PARTIAL_CONTENT or _encoding_of(response) != "identity":
        return False
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if found is None or (int(found[1]), int(found[2])) != (one.start, one.last):
        return False
    return file_bytes is None or found[3] in ("*", str(file_bytes))
