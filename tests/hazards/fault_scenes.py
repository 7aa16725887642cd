"""What a server does to a request, a list or a look-up: the scenes that kinds of fault are made of."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tests.hazards.fault_server import Call, FaultServer
from tests.hazards.fault_wire import Exchange, answer

Play = Callable[[FaultServer, Exchange], Awaitable[None]]


AnswerCall = Callable[[FaultServer, Exchange, Call], Awaitable[bytes | None]]


def tells(raw: bytes | Callable[[FaultServer], bytes], *, linger: bool) -> Play:
    """Answer before a byte of the body is read; then read it away, or close at once with the body unread."""

    async def play(server: FaultServer, exchange: Exchange) -> None:
        await exchange.send(raw if isinstance(raw, bytes) else raw(server))
        if linger:
            await exchange.read_away()
        exchange.close()

    return play


def answers(raw: bytes | Callable[[FaultServer], bytes], *, then: str = "keep") -> Play:
    """Read the whole form, keep nothing, and answer."""

    async def play(server: FaultServer, exchange: Exchange) -> None:
        await exchange.read_form()
        await exchange.send(raw if isinstance(raw, bytes) else raw(server))
        end(exchange, then)

    return play


def stores(say: bytes | Callable[[dict[str, Any]], bytes], *, then: str = "keep") -> Play:
    """Store the file and say this, or what a function makes of the file's FileResponse."""

    async def play(server: FaultServer, exchange: Exchange) -> None:
        await exchange.read_form()
        response = server.store(exchange.upload).response()
        await exchange.send(say if isinstance(say, bytes) else say(response))
        end(exchange, then)

    return play


def breaks(share: float, *, then: str) -> Play:
    """Read this share of the body and break the connection."""

    async def play(server: FaultServer, exchange: Exchange) -> None:
        await exchange.read_form(share=share)
        end(exchange, then)

    return play


def drips(raw: Callable[[dict[str, Any]], bytes], *, whole: bytes = b"", pause_s: float = 0.2) -> Play:
    """Store the file and answer a byte at a time, after saying `whole` at once."""

    async def play(server: FaultServer, exchange: Exchange) -> None:
        await exchange.read_form()
        await exchange.send(whole)
        for byte in raw(server.store(exchange.upload).response()):
            await exchange.send(bytes([byte]))
            await asyncio.sleep(pause_s)

    return play


def pours(start: bytes, more: bytes) -> Play:
    """Store the file and answer without end."""

    async def play(server: FaultServer, exchange: Exchange) -> None:
        await exchange.read_form()
        server.store(exchange.upload)
        await exchange.send(start)
        for _ in itertools.count():
            await exchange.send(more)

    return play


async def ignores(server: FaultServer, exchange: Exchange) -> None:
    """Never read and never answer."""
    await exchange.released.wait()


def falls_silent(*, stores_it: bool) -> Play:
    """Read the form and never answer."""

    async def play(server: FaultServer, exchange: Exchange) -> None:
        await exchange.read_form()
        if stores_it:
            server.store(exchange.upload)
        await exchange.released.wait()

    return play


def end(exchange: Exchange, then: str) -> None:
    if then == "close":
        exchange.close()
    elif then == "reset":
        exchange.reset()


def good(response: dict[str, Any]) -> bytes:
    """Return the answer of a sound server."""
    return answer(200, response)


def altered(**changes: Any) -> Callable[[dict[str, Any]], bytes]:
    """Return an answer whose fields differ from the file's."""
    return lambda response: answer(200, response | changes)


def body(
    make: Callable[[bytes], bytes], status: int = 200, **headers: str
) -> Callable[[dict[str, Any]], bytes]:
    """Return an answer whose body is made of the sound one."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda response: answer(status, make(json.dumps(response).encode()), named)


def raw(make: Callable[[bytes], bytes]) -> Callable[[dict[str, Any]], bytes]:
    """Return whole bytes made of the sound answer's body."""
    return lambda response: make(json.dumps(response).encode())


def http_date(ahead_s: float) -> str:
    """Return a moment as an HTTP-date."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=ahead_s), usegmt=True)


async def early_success(server: FaultServer, exchange: Exchange) -> None:
    # The id comes first, the body is read afterwards; a client that leaves in mid-body has stored nothing.
    await exchange.send(answer(200, {"id": "file-early", "object": "file"}))
    await exchange.read_form(invites=False)
    server.store(exchange.upload, file_id="file-early")
    exchange.close()


async def never_invites(server: FaultServer, exchange: Exchange) -> None:
    await exchange.read_form(invites=False)
    await exchange.send(good(server.store(exchange.upload).response()))


def points_elsewhere(status: int) -> Callable[[FaultServer], bytes]:
    return lambda server: answer(status, b"", {"Location": f"{server.elsewhere}{server.dialect.upload_path}"})


async def closes_idle(server: FaultServer, exchange: Exchange) -> None:
    await server.accept(exchange)
    exchange.close()


async def stops_reading(server: FaultServer, exchange: Exchange) -> None:
    await exchange.read_form(share=0.3)
    await exchange.released.wait()


async def reads_slowly(server: FaultServer, exchange: Exchange) -> None:
    """Read a large form for three seconds, twice as long as a stall may last, and a small one for one."""
    length = exchange.upload.content_length
    await exchange.read_form(bytes_per_s=length / (3 if length > 5_000_000 else 1))
    await exchange.send(good(server.store(exchange.upload).response()))


HEAD = b"HTTP/1.1 200 OK\r\n"


def chunked(body: bytes) -> bytes:
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body


def sized(content: bytes, length: object = None) -> bytes:
    size = str(len(content) if length is None else length).encode()
    return HEAD + b"Content-Length: " + size + b"\r\n\r\n" + content


async def foreign_id(server: FaultServer, exchange: Exchange) -> None:
    await exchange.read_form()
    foreign = next(iter(server.stored))
    await exchange.send(good(server.store(exchange.upload).response(id=foreign)))


async def refreshes(server: FaultServer, exchange: Exchange) -> None:
    await exchange.read_form()
    response = server.store(exchange.upload).response()
    url = f"{server.elsewhere}/x"
    await exchange.send(
        answer(200, response, {"Refresh": f"0; url={url}", "Location": url, "Link": f"<{url}>"})
    )


def on_list(
    raw: bytes | Callable[[FaultServer, int, int], bytes | list[Any] | None], *, times: int = 10**9
) -> AnswerCall:
    """Answer list requests with this, or with the files that a function returns for a limit and an offset."""

    async def answer_call(server: FaultServer, exchange: Exchange, call: Call) -> bytes | None:
        if not call.is_list or sum(one.is_list for one in server.calls) > times:
            return None
        if isinstance(raw, bytes):
            return raw
        limit, offset = server.dialect.place(call.target, server.shown)
        said = raw(server, limit, offset)
        return server.page(said, limit=limit, offset=offset) if isinstance(said, list) else said

    return answer_call


def on_look_up(raw: bytes | Callable[[FaultServer, str], bytes]) -> AnswerCall:
    """Answer look-ups with this."""

    async def answer_call(server: FaultServer, exchange: Exchange, call: Call) -> bytes | None:
        if call.is_list or call.target.endswith("/content"):
            return None
        return raw if isinstance(raw, bytes) else raw(server, call.target.rpartition("/")[2])

    return answer_call


def listing(make: Callable[[dict[str, Any]], Any]) -> AnswerCall:
    """List every file with changes."""

    def page(server: FaultServer, limit: int, offset: int) -> list[Any]:
        return [make(one.response()) for one in server.listed()][offset : offset + limit]

    return on_list(page)


async def hangs_up(server: FaultServer, exchange: Exchange, call: Call) -> None:
    exchange.reset()


async def keeps_silent(server: FaultServer, exchange: Exchange, call: Call) -> None:
    await exchange.released.wait()


async def drips_a_list(server: FaultServer, exchange: Exchange, call: Call) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
    for _ in range(900):
        await exchange.send(b" ")
        await asyncio.sleep(0.2)


def strangers(offset: int, count: int) -> list[Any]:
    return [
        {
            "id": f"file-{offset + one}",
            "filename": "x",
            "bytes": 1,
            "purpose": "alignment",
            "created_at": "2999-01-01T00:00:00Z",
        }
        for one in range(min(count, 100))
    ]


async def with_twin(server: FaultServer, exchange: Exchange, call: Call) -> None:
    mine = [one for one in server.stored.values() if one.mine and one.bytes > 500]
    if mine and len(mine) == len([one for one in server.stored.values() if one.bytes > 500]):
        victim = mine[0]
        server.add_strangers(
            1,
            filename=victim.filename,
            bytes=victim.bytes,
            purpose=victim.purpose,
            created_at=victim.created_at,
        )


async def stores_less(server: FaultServer, exchange: Exchange) -> None:
    await exchange.read_form()
    file = server.store(exchange.upload)
    server.stored[file.file_id] = shorter = replace(file, bytes=file.bytes - 1)
    await exchange.send(good(shorter.response()))


async def after_many_strangers(server: FaultServer, exchange: Exchange, call: Call) -> None:
    if len(server.stored) < 250 and any(one.mine and one.bytes > 500 for one in server.stored.values()):
        server.add_strangers(250)


def oldest_first(server: FaultServer, limit: int, offset: int) -> list[Any]:
    files = [one.response() for one in reversed(server.listed())]
    return files[offset : offset + limit]


def with_nonsense(server: FaultServer, limit: int, offset: int) -> list[Any]:
    files: list[Any] = [one.response() for one in server.listed()]
    odd: list[Any] = [None, 7, "file-1", [], {}, {"id": None}, {"id": "../x", "filename": "x"}, {"id": ""}]
    return [*odd, *files] if offset == 0 else []
