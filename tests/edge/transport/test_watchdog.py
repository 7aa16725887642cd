"""Requests that stopped moving are given up, and only those."""

from __future__ import annotations

import asyncio
import itertools
import socket
from pathlib import Path

import pytest

from bulk_upload.core.model import Accepted, InDoubt, NotSent, Unavailable
from bulk_upload.core.run.sender import UploadReport
from bulk_upload.edge.transport import Transport, watchdog
from bulk_upload.edge.transport.watchdog import InFlight
from tests.edge.transport.scripted_server import (
    Exchange,
    ScriptedServer,
    accepts,
    answer,
    certified,
    first_bytes,
    holds,
)
from tests.edge.transport.shipping import BLOCK, Blocks, ship, transport_to
from tests.waiting import until, until_still

LATER_S = 100.0
LONG_S = 1e6


@pytest.fixture(autouse=True)
def no_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests look for themselves, at times of their own."""
    monkeypatch.setattr(watchdog, "TICK_S", LONG_S)


def sending_of(transport: Transport) -> InFlight:
    (one,) = transport._exchanges.watchdog.sending
    return one


async def standstill(transport: Transport) -> None:
    """Wait until the one body in flight moves no more."""
    await until_still(lambda: sending_of(transport).body.position)


def look(transport: Transport, after_s: float) -> None:
    """Let the watchdog look as if so many seconds had passed; the first look sees what has moved until now."""
    now = asyncio.get_running_loop().time()
    transport._exchanges.watchdog.look(now)
    transport._exchanges.watchdog.look(now + after_s)


async def test_a_server_that_never_reads_is_given_up() -> None:
    """A body that stands still for the stall time ends as unavailable, and its connection is dropped."""
    gone = asyncio.Event()

    async def ignores(exchange: Exchange) -> None:
        await exchange.released.wait()
        await exchange.wait_gone()
        gone.set()

    server = ScriptedServer(ignores, accepts())
    async with server.running(receive_bytes=65536), transport_to(server.url, stall_s=60) as transport:
        async with asyncio.TaskGroup() as tasks:
            upload = tasks.create_task(ship(transport, Blocks(16 * BLOCK)))
            await until(lambda: server.requests)
            await standstill(transport)
            look(transport, 59.0)
            assert sending_of(transport).given_up is None
            look(transport, 60.0)
        report = upload.result()
        assert report.outcome == Unavailable(reason="no progress for 1 min 00 s")
        assert not report.sent.complete
        # Dropped at once: waiting for the buffer to empty would take for ever.
        server.released.set()
        await until(gone.is_set)
        assert isinstance((await ship(transport)).outcome, Accepted)


async def test_a_server_that_never_answers_leaves_a_doubt() -> None:
    """A whole body without an answer for the answer time is in doubt."""
    server = ScriptedServer(holds(), accepts())
    async with server.running(), transport_to(server.url, stall_s=60, answer_s=300) as transport:
        async with asyncio.TaskGroup() as tasks:
            upload = tasks.create_task(ship(transport))
            await until(lambda: server.stored)
            await standstill(transport)
            look(transport, 299.0)
            assert sending_of(transport).given_up is None
            look(transport, 300.0)
        report = upload.result()
        assert report.outcome == InDoubt(reason="no answer for 5 min 00 s", answered=False)
        assert report.sent.complete
        assert isinstance((await ship(transport)).outcome, Accepted)


@pytest.mark.parametrize(
    "start", [b"", answer(200, b"x" * 50_000)[:30], answer(200, b"x" * 50_000)[:-40_000]]
)
async def test_an_answer_that_drips_for_ever_is_ended(start: bytes) -> None:
    """The answer time bounds the whole answer, head and body, however steadily its bytes come."""
    dripped, more = 0, asyncio.Semaphore(1)

    async def drips(exchange: Exchange) -> None:
        nonlocal dripped
        await exchange.read_body()
        await exchange.send(start or b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while await more.acquire():
            await exchange.send(b"y")
            dripped += 1

    server = ScriptedServer(drips)
    async with server.running(), transport_to(server.url) as transport:
        async with asyncio.TaskGroup() as tasks:
            upload = tasks.create_task(ship(transport))
            await until(lambda: dripped)
            now = asyncio.get_running_loop().time()
            sending = sending_of(transport)
            # The last look is later than it need be: the watchdog's own may have come after `now`.
            for waited_s in (0, 50, 100, 150, 200, 250, 310):
                assert sending.given_up is None
                seen = dripped
                more.release()
                await until(lambda seen=seen: dripped > seen)  # type: ignore[misc]
                transport._exchanges.watchdog.look(now + waited_s)
            assert sending.given_up is not None
        assert isinstance(upload.result().outcome, InDoubt)


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS"])
async def test_a_slow_upload_that_moves_is_left_alone(
    secured: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload of which a little is read within each stall time goes on to its end."""
    step_bytes = 256 * 1024
    allowed = asyncio.Semaphore(0)

    async def reads_slowly(exchange: Exchange) -> None:
        for read_bytes in itertools.count(step_bytes, step_bytes):
            await allowed.acquire()
            await exchange.read_body(read_bytes)
            if exchange.request.complete:
                break
        await exchange.send(answer())

    tls = certified(tmp_path, monkeypatch) if secured else None
    server = ScriptedServer(reads_slowly)
    async with (
        server.running(tls=tls, receive_bytes=65536),
        transport_to(server.url, stall_s=60) as transport,
        asyncio.TaskGroup() as tasks,
    ):
        upload = tasks.create_task(ship(transport, Blocks(16 * BLOCK)))
        await until(lambda: server.requests)
        await standstill(transport)
        now = asyncio.get_running_loop().time()
        for number in range(20):
            transport._exchanges.watchdog.look(now + 59 * number)
            before = sending_of(transport).body.position
            allowed.release()
            await until(lambda before=before: sending_of(transport).body.position != before)  # type: ignore[misc]
            assert sending_of(transport).given_up is None
        for _ in range(16 * BLOCK // step_bytes + 1):
            allowed.release()
    assert isinstance(upload.result().outcome, Accepted)


async def test_waiting_for_a_turn_never_counts() -> None:
    """An upload beyond the connection limit may wait for any time before it begins."""
    server = ScriptedServer(holds(), accepts())
    go_on = asyncio.Event()

    async def answers_late(exchange: Exchange) -> None:
        await exchange.read_body()
        await go_on.wait()
        await exchange.send(answer())

    server.scenes = [answers_late, accepts("file-2")]
    async with (
        server.running(),
        transport_to(server.url, connection_limit=1, stall_s=60, answer_s=LONG_S) as transport,
        asyncio.TaskGroup() as tasks,
    ):
        uploads = [tasks.create_task(ship(transport)) for _ in range(2)]
        await until(lambda: server.stored)
        look(transport, LATER_S)
        look(transport, 1000 * LATER_S)
        assert server.connections == 1
        go_on.set()
    assert [type(upload.result().outcome) for upload in uploads] == [Accepted, Accepted]


async def test_a_connection_that_never_comes_about_is_given_up() -> None:
    """Resolving, connecting and the TLS handshake count against the stall time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        async with (
            transport_to(url, connect_s=LONG_S, stall_s=60) as transport,
            asyncio.TaskGroup() as tasks,
        ):
            upload = tasks.create_task(ship(transport))
            connection = await first_bytes(listener)
            look(transport, 60.0)
            report = await upload
            connection.close()
    assert report.outcome == Unavailable(reason="no progress for 1 min 00 s")


async def test_a_read_that_hangs_is_the_file_systems_fault() -> None:
    """A disk that does not answer is held neither against the server nor against the file: it may answer later."""

    async def hangs(number: int) -> None:
        if number == 2:
            await asyncio.Event().wait()

    server = ScriptedServer(accepts())
    async with server.running(), transport_to(server.url, stall_s=60) as transport:
        async with asyncio.TaskGroup() as tasks:
            upload = tasks.create_task(ship(transport, Blocks(before=hangs)))
            await until(lambda: server.requests)
            await standstill(transport)
            look(transport, 60.0)
        report = upload.result()
        assert report.outcome == NotSent(reason="the file could not be read for 1 min 00 s", transient=True)
        assert not report.sent.complete


async def test_the_watchdog_looks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a transport runs, its requests are looked at without anybody asking; afterwards no more."""
    monkeypatch.setattr(watchdog, "TICK_S", 0.01)
    server = ScriptedServer(holds())
    async with server.running(), transport_to(server.url, answer_s=0.05) as transport:
        report = await ship(transport)
        timer = transport._exchanges.watchdog._timer
    assert report.outcome == InDoubt(reason="no answer for 0.1 s", answered=False)
    assert timer is not None
    assert transport._exchanges.watchdog._timer is not None
    assert transport._exchanges.watchdog._timer.cancelled()


# --- a minimum rate


def creep(transport: Transport, *, bytes_per_s: int, seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the watchdog look once a second while so many bytes leave in each."""
    now = asyncio.get_running_loop().time()
    for second in range(seconds + 1):
        monkeypatch.setattr(
            "bulk_upload.edge.transport.body.UploadBody.position", (second * bytes_per_s, second % 2)
        )
        transport._exchanges.watchdog.look(now + second)


@pytest.mark.parametrize(("bytes_per_s", "ended"), [(900, True), (1100, False)])
async def test_a_body_that_crawls_is_given_up_where_a_minimum_is_set(
    bytes_per_s: int, ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slower than the minimum over a minute: ended as unavailable. Faster: left alone, however long it takes."""
    server = ScriptedServer(holds(limit=1000), accepts())
    settings = {"stall_s": 60, "min_bytes_per_s": 1000.0}
    async with (
        server.running(receive_bytes=65536),
        transport_to(server.url, **settings) as transport,
        asyncio.TaskGroup() as tasks,
    ):
        upload = tasks.create_task(ship(transport, Blocks(16 * BLOCK)))
        await until(lambda: server.requests)
        creep(transport, bytes_per_s=bytes_per_s, seconds=300, monkeypatch=monkeypatch)
        given_up = sending_of(transport).given_up
        transport.end_all("over")
    outcome = upload.result().outcome
    assert (given_up is not None) is ended
    if ended:
        assert outcome == Unavailable(reason="only 900 B/s got through in a minute, less than 1.0 kB/s")


async def test_any_speed_will_do_without_a_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default one byte a second is enough."""
    server = ScriptedServer(holds(limit=1000))
    async with (
        server.running(receive_bytes=65536),
        transport_to(server.url) as transport,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(ship(transport, Blocks(16 * BLOCK)))
        await until(lambda: server.requests)
        creep(transport, bytes_per_s=1, seconds=300, monkeypatch=monkeypatch)
        assert sending_of(transport).given_up is None
        transport.end_all("over")


async def test_waits_for_our_own_bandwidth_cap_are_not_the_servers_slowness(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A body that a cap held back in a minute is not judged by that minute."""
    server = ScriptedServer(holds(limit=1000))
    settings = {"stall_s": 60, "min_bytes_per_s": 1000.0}
    async with (
        server.running(receive_bytes=65536),
        transport_to(server.url, **settings) as transport,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(ship(transport, Blocks(16 * BLOCK)))
        await until(lambda: server.requests)
        now = asyncio.get_running_loop().time()
        for second in range(300):
            sending_of(transport).body.held_s = float(second // 30)
            monkeypatch.setattr("bulk_upload.edge.transport.body.UploadBody.position", (second, second % 2))
            transport._exchanges.watchdog.look(now + second)
        assert sending_of(transport).given_up is None
        transport.end_all("over")


async def test_a_watchdog_that_fails_hangs_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody awaits its timer: the requests that it was to watch raise its error, and so does every later one."""
    server = ScriptedServer(holds())
    async with server.running(), transport_to(server.url) as transport:
        cancelled: list[UploadReport] = []
        upload = asyncio.create_task(ship(transport, cancelled=cancelled))
        await until(lambda: server.requests)
        with monkeypatch.context() as broken:
            broken.setattr(transport._exchanges.watchdog, "look", _breaks)
            transport._exchanges.watchdog._tick()
        with pytest.raises(KeyError, match="a bug of ours"):
            await upload
        assert len(cancelled) == 1
        with pytest.raises(KeyError, match="a bug of ours"):
            await ship(transport)


def _breaks(_now: float) -> None:
    raise KeyError("a bug of ours")
