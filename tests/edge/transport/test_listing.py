"""Asking the server what it has: a good answer, or NoAnswer with the reason."""

from __future__ import annotations

import asyncio
import json
import time
from email.utils import formatdate

import pytest

from bulk_upload.core.api.paging import PageRequest
from bulk_upload.core.model import Accepted, ListedFile
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.sandbox import Sandbox
from tests.edge.transport.scripted_server import (
    ANSWER,
    Exchange,
    Scene,
    ScriptedServer,
    answer,
    holds,
    stores,
)
from tests.edge.transport.shipping import KEY, ship, transport_to
from tests.waiting import until


async def _hangs_in_the_answer(exchange: Exchange) -> None:
    await exchange.send(answer()[:-4])
    await exchange.released.wait()


BAD: dict[str, tuple[Scene, str]] = {
    "500": (stores(answer(500, b"oops")), "HTTP 500: oops"),
    "401": (stores(answer(401, f'{{"detail": "key {KEY}"}}'.encode())), r"HTTP 401: key \[key\]"),
    "garbage": (stores(b"garbage\r\n\r\n", then="close"), "the answer was malformed"),
    "no JSON": (stores(answer(200, b"<html>")), "no usable answer"),
    "other JSON": (stores(answer(200, b'{"data": 7}')), "no usable answer"),
    "cut": (stores(answer()[:-4], then="close"), "the answer broke off"),
    "dropped": (stores(b"", then="close"), "without an answer"),
    "huge": (stores(answer(200, b'{"data": [' + b'{"id": "f-1"},' * 310_000), then="close"), "no usable answer"),
    "silent": (holds(), "no answer came in time"),
    "silent in the answer": (_hangs_in_the_answer, "no answer came in time"),
}  # fmt: skip


async def test_the_list_is_read_newest_first() -> None:
    """One page holds what the server reports, and is asked for by limit and offset."""
    async with Sandbox() as sandbox, transport_to(sandbox.url) as transport:
        outcomes = [(await ship(transport, name=f"{number}.jsonl")).outcome for number in range(3)]
        ids = [outcome.file_id for outcome in outcomes if isinstance(outcome, Accepted)]
        page = (await transport.list_page(PageRequest(limit=2))).files
        assert [file.file_id for file in page] == ids[:0:-1]
        assert page[0].filename == "2.jsonl"
        assert page[0].bytes == 17
        assert [
            file.file_id for file in (await transport.list_page(PageRequest(limit=2, offset=2))).files
        ] == ids[:1]
        assert (
            await transport.look_up(ids[0])
            == (await transport.list_page(PageRequest(limit=1, offset=2))).files[0]
        )
        assert await transport.look_up("file-unknown") is None


async def test_the_query_is_the_one_the_api_documents() -> None:
    """A list request carries the page and the order, and the bare key."""
    server = ScriptedServer(stores(answer(200, b'{"data": [{"id": "f-1"}, {"id": "../x"}, 7]}')))
    async with server.running(), transport_to(server.url) as transport:
        page = (await transport.list_page(PageRequest(limit=100, offset=90))).files
    assert page == [
        ListedFile(file_id="f-1"),
        ListedFile(file_id="../x", has_id=False),
        ListedFile(file_id="7", has_id=False),
    ]
    (request,) = server.requests
    assert (
        request.line == "GET /v1/flow/files?limit=100&offset=90&sort_by=created_at&sort_order=desc HTTP/1.1"
    )
    assert request.header("Authorization") == KEY


@pytest.mark.parametrize("kind", BAD)
async def test_a_useless_answer_is_list_failed(kind: str) -> None:
    """Whatever the server says in place of a list or a file, the failure names it and shows no key."""
    scene, words = BAD[kind]
    server = ScriptedServer(scene)
    async with server.running(), transport_to(server.url, stall_s=0.2) as transport:
        with pytest.raises(NoAnswer, match=words) as listing:
            await transport.list_page(PageRequest(limit=100))
        with pytest.raises(NoAnswer, match=words) as looking:
            await transport.look_up("f-1")
    assert KEY not in f"{listing.value!r} {looking.value!r}"
    assert listing.value.__cause__ is None


async def test_a_redirected_list_is_not_followed() -> None:
    """A list request goes to its own server only."""
    other = ScriptedServer(stores(answer(200, b'{"data": []}')))
    async with other.running():
        server = ScriptedServer(stores(answer(302, b"", {"Location": other.url})))
        async with server.running(), transport_to(server.url) as transport:
            with pytest.raises(NoAnswer, match="HTTP 302"):
                await transport.list_page(PageRequest(limit=100))
            with pytest.raises(NoAnswer, match="HTTP 302"):
                await transport.look_up("f-1")
    assert other.connections == 0


async def test_a_look_up_that_answers_for_another_file_is_not_believed() -> None:
    """Only the file that was asked for is an answer."""
    server = ScriptedServer(stores(answer(200, {"id": "f-2"})))
    async with server.running(), transport_to(server.url) as transport:
        with pytest.raises(NoAnswer):
            await transport.look_up("f-1")


async def test_an_unreachable_list_names_the_reason() -> None:
    """A list that cannot be asked for says why."""
    async with transport_to("http://127.0.0.1:9") as transport:
        with pytest.raises(NoAnswer, match=r"cannot connect to 127\.0\.0\.1:9: Connection refused"):
            await transport.list_page(PageRequest(limit=100))


async def test_a_list_never_waits_behind_uploads() -> None:
    """With every upload slot taken by a silent server, a listing still gets its connection."""
    server = ScriptedServer(holds(), holds(), stores(answer(200, b'{"data": []}')))
    async with server.running(), transport_to(server.url, connection_limit=2, stall_s=5) as transport:
        uploads = [asyncio.create_task(ship(transport)) for _ in range(3)]
        await until(lambda: server.stored == 2)
        assert (await transport.list_page(PageRequest(limit=100))).files == []
        transport.end_all("enough")
        await asyncio.gather(*uploads)
    assert server.connections == 3


async def test_the_servers_clock_is_noted() -> None:
    """The offset of the server's clock comes from the Date header of uploads and lists; nonsense is ignored."""
    ahead = formatdate(time.time() + 3600, usegmt=True)
    behind = formatdate(time.time() - 3600, usegmt=True)
    listing = json.dumps({"data": []}).encode()
    server = ScriptedServer(
        stores(answer(headers={"Date": ahead})),
        stores(answer(200, listing, {"Date": behind})),
        stores(answer(200, listing, {"Date": "yesterday"})),
    )
    async with server.running(), transport_to(server.url) as transport:
        assert transport.clock_offset_s is None
        await ship(transport)
        assert transport.clock_offset_s == pytest.approx(3600, abs=60)
        await transport.list_page(PageRequest(limit=1))
        assert transport.clock_offset_s == pytest.approx(-3600, abs=60)
        await transport.list_page(PageRequest(limit=1))
        assert transport.clock_offset_s == pytest.approx(-3600, abs=60)


@pytest.mark.parametrize("ahead_s", [-3600, 3600])
async def test_the_servers_clock_without_a_date(ahead_s: int) -> None:
    """Where no answer has a Date header, the creation time of an accepted file gives the offset."""
    created_at = utc_text(time.time() + ahead_s)
    listing = json.dumps({"data": []}).encode()
    server = ScriptedServer(
        stores(answer(200, listing)),
        stores(answer(200, {**ANSWER, "created_at": created_at})),
    )
    async with server.running(), transport_to(server.url) as transport:
        await transport.list_page(PageRequest(limit=1))
        assert transport.clock_offset_s is None
        assert isinstance((await ship(transport)).outcome, Accepted)
        assert transport.clock_offset_s == pytest.approx(ahead_s, abs=60)


async def test_the_list_tells_the_time_of_files_that_were_just_sent() -> None:
    """An answer without `created_at`, at a server without `Date`: the list shows when the file was made."""
    created_s = time.time() + 3600
    listed = {"data": [{"id": ANSWER["id"], "created_at": int(created_s)}]}
    plain: dict[str, object] = {name: value for name, value in ANSWER.items() if name != "created_at"}
    server = ScriptedServer(stores(answer(200, plain)), stores(answer(200, json.dumps(listed).encode())))
    async with server.running(), transport_to(server.url) as transport:
        assert isinstance((await ship(transport)).outcome, Accepted)
        assert transport.clock_offset_s is None
        await transport.list_page(PageRequest(limit=1))
        assert transport.clock_offset_s == pytest.approx(3600, abs=60)
