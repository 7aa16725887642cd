"""The agent's end of a connection."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, TypeVar

import aiohttp
import anyio
import msgspec

from bulk_upload.core.fleet.messages import (
    FRAME_BYTES_MAX,
    Answer,
    FromAgentFrame,
    Hello,
    Refusal,
    ToAgentFrame,
    Welcome,
)
from bulk_upload.edge.fleet.access import authorization

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

CONNECT_S = 10.0
ANSWER_S = 30.0
CLOSE_S = 0.2
"""How long the other end may take to confirm the end of a connection: nothing depends on it."""

_UNAUTHORIZED = 401
_decode_answer: Callable[[bytes], Welcome | Refusal] = msgspec.msgpack.Decoder(Answer).decode
_decode_frame: Callable[[bytes], ToAgentFrame] = msgspec.msgpack.Decoder(ToAgentFrame).decode
_encode = msgspec.msgpack.Encoder().encode


class ConnectionLost(Exception):
    """There is no connection to the coordinator, for the reason in its text; there may be one again."""


class NotAdmitted(Exception):
    """The coordinator does not know the token."""


class Channel:
    """A connection to the coordinator; it must be closed. `answer` is what was said to the hello."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        connection: aiohttp.ClientWebSocketResponse,
        answer: Welcome | Refusal,
    ) -> None:
        self._session = session
        self._connection = connection
        self.answer = answer

    async def send(self, frame: FromAgentFrame) -> None:
        """Send a frame. Raises ConnectionLost."""
        try:
            await self._connection.send_bytes(_encode(frame))
        except (ConnectionError, aiohttp.ClientError) as error:
            raise ConnectionLost(_words(error)) from error

    async def receive(self, timeout_s: float) -> ToAgentFrame:
        """Return the next frame. Raises ConnectionLost, also where none comes in time."""
        return _decode(_decode_frame, await _received(self._connection, timeout_s))

    async def close(self) -> None:
        """Close the connection, without waiting long for the other end."""
        await _closed(self._session, self._connection)


class Dialer:
    """Connects to a coordinator.

    Args:
        url: of the coordinator, as it printed it.
        secret: the token, or a ticket; the token that comes with the first welcome takes a ticket's place.
        ca_file: PEM file of the authorities to trust instead of the system's.
        tls: takes the place of `ca_file` where there is a context already.
    """

    def __init__(
        self, url: str, secret: str, *, ca_file: str | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._url = url
        self._secret = secret
        if tls is None and ca_file is not None:
            tls = ssl.create_default_context(cafile=ca_file)
        self._tls = tls

    async def connect(self, hello: Hello) -> Channel:
        """Return a connection on which `hello` was said and answered. Raises ConnectionLost, NotAdmitted."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
        session = aiohttp.ClientSession(timeout=timeout)
        connection: aiohttp.ClientWebSocketResponse | None = None
        try:
            connection = await self._opened(session)
            try:
                await connection.send_bytes(_encode(hello))
            except (ConnectionError, aiohttp.ClientError) as error:
                raise ConnectionLost(_words(error)) from error
            answer = _decode(_decode_answer, await _received(connection, ANSWER_S))
        except BaseException:
            await _closed(session, connection)
            raise
        if isinstance(answer, Welcome) and answer.token:
            self._secret = answer.token
        return Channel(session, connection, answer)

    async def _opened(self, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        try:
            return await session.ws_connect(
                self._url,
                headers={"Authorization": authorization(self._secret)},
                max_msg_size=FRAME_BYTES_MAX,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
                ssl=True if self._tls is None else self._tls,
            )
        except aiohttp.WSServerHandshakeError as error:
            if error.status == _UNAUTHORIZED:
                raise NotAdmitted from None
            raise ConnectionLost(f"the coordinator answered HTTP {error.status}") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ConnectionLost(_words(error)) from error


async def _closed(session: aiohttp.ClientSession, connection: aiohttp.ClientWebSocketResponse | None) -> None:
    with anyio.CancelScope(shield=True):
        if connection is not None:
            await connection.close()
        await session.close()


async def _received(connection: aiohttp.ClientWebSocketResponse, timeout_s: float) -> bytes:
    try:
        message = await connection.receive(timeout=timeout_s)
    except (ConnectionError, aiohttp.ClientError, TimeoutError) as error:
        raise ConnectionLost(_words(error)) from error
    if message.type is not aiohttp.WSMsgType.BINARY:
        raise ConnectionLost("the coordinator closed it")
    return bytes(message.data)


def _decode(decode: Callable[[bytes], _T], data: bytes) -> _T:
    try:
        return decode(data)
    except msgspec.DecodeError as error:
        raise ConnectionLost(f"the coordinator speaks another protocol: {error}") from error


def _words(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    return str(error) or type(error).__name__
