"""A bandwidth cap on real connections: every byte of every body is asked for, and nobody is blamed for the wait."""

from __future__ import annotations

import asyncio
import time

import pytest

from bulk_upload.core.api.multipart import frame
from bulk_upload.core.limits.capped import CappedController
from bulk_upload.core.limits.caps import Caps
from bulk_upload.core.limits.timetable import Timetable
from bulk_upload.core.model import Accepted, InDoubt, Rejected, Unavailable
from bulk_upload.core.run.source import LoadedFile, Source
from bulk_upload.edge.clock import SystemClock
from bulk_upload.edge.transport import Transport, watchdog
from bulk_upload.edge.transport import body as transport_body
from bulk_upload.edge.transport.body import UploadBody
from bulk_upload.engine.callback_errors import CallbackErrors
from bulk_upload.engine.limits.bandwidth import BandwidthGate
from tests.edge.transport.scripted_server import Exchange, ScriptedServer, accepts, answer, refuses_early
from tests.edge.transport.shipping import BLOCK, Blocks, loaded, ship, transport_to
from tests.waiting import until, until_still

LONG_S = 1e6


@pytest.fixture(autouse=True)
def no_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests look for themselves, at times of their own."""
    monkeypatch.setattr(watchdog, "TICK_S", LONG_S)


class HandPace:
    """A pace that a test holds in its hand: `allowed` pieces pass, the next one waits. `asked` has their sizes."""

    def __init__(self, piece_bytes: int | None, *, allowed: float = float("inf")) -> None:
        self.piece_bytes = piece_bytes
        self._allowed = allowed
        self._more_allowed = asyncio.Event()
        self.asked: list[int] = []
        self.waiting_count = 0

    def allow(self, count: float) -> None:
        """Let so many pieces pass, those that have passed included."""
        self._allowed = count
        self._more_allowed.set()

    async def pass_bytes(self, count: int) -> None:
        """Note it and wait until it is allowed."""
        self.asked.append(count)
        place = len(self.asked)
        self.waiting_count += 1
        try:
            while place > self._allowed:
                self._more_allowed.clear()
                await self._more_allowed.wait()
        finally:
            self.waiting_count -= 1


def look(transport: Transport, after_s: float) -> None:
    """Let the watchdog look as if so many seconds had passed since a first look."""
    now = asyncio.get_running_loop().time()
    transport._exchanges.watchdog.look(now)
    transport._exchanges.watchdog.look(now + after_s)


@pytest.mark.parametrize("source", [loaded(b"x" * 100_000), Blocks(2 * BLOCK + 5000), loaded(b"")])
async def test_every_byte_of_a_body_is_asked_for(source: LoadedFile | Blocks) -> None:
    """Small files that are sent in one piece otherwise, large ones, empty ones: form and file, none twice."""
    server = ScriptedServer(accepts())
    pace = HandPace(7000)
    async with server.running(), transport_to(server.url) as transport:
        report = await ship(transport, source, pace=pace)
        (request,) = server.requests
    assert isinstance(report.outcome, Accepted)
    assert sum(pace.asked) == len(request.body) == request.content_length
    assert max(pace.asked) <= 7000
    assert request.parts[-1][1] == source.content


async def test_without_a_cap_nothing_is_asked() -> None:
    """A body of a run without a cap is handed over as it is read."""
    server = ScriptedServer(accepts())
    pace = HandPace(None)
    async with server.running(), transport_to(server.url) as transport:
        report = await ship(transport, Blocks(BLOCK + 1), pace=pace)
    assert isinstance(report.outcome, Accepted)
    assert pace.asked == []


async def test_a_cap_may_come_and_go_in_the_midst_of_a_body() -> None:
    """What is left then goes the other way, and the file arrives whole."""
    server = ScriptedServer(accepts())
    pace = HandPace(10_000, allowed=150)
    source = Blocks(3 * BLOCK)
    async with server.running(), transport_to(server.url) as transport, asyncio.TaskGroup() as tasks:
        upload = tasks.create_task(ship(transport, source, pace=pace))
        await until(lambda: len(pace.asked) == 151)
        pace.piece_bytes = None
        pace.allow(float("inf"))
    assert isinstance(upload.result().outcome, Accepted)
    assert len(pace.asked) == 151
    assert server.requests[0].parts[-1][1] == source.content


async def test_our_own_cap_is_no_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that waits for our cap, for however long, is not given up; afterwards it goes on."""
    # The clock that measures the wait is the real one: however short it is, it counts.
    monkeypatch.setattr(transport_body, "_WAIT_S_MIN", 0.0)
    server = ScriptedServer(accepts())
    pace = HandPace(5000, allowed=3)
    async with server.running(), transport_to(server.url, stall_s=60) as transport:
        async with asyncio.TaskGroup() as tasks:
            upload = tasks.create_task(ship(transport, loaded(b"x" * 50_000), pace=pace))
            await until(lambda: len(pace.asked) == 4)
            held_at = asyncio.get_running_loop().time()
            for _ in range(3):
                look(transport, 3600.0)
            assert not upload.done()
            (sending,) = transport._exchanges.watchdog.sending
            assert sending.body.held
            # Some loops count in whole milliseconds.
            await until(lambda: asyncio.get_running_loop().time() > held_at)
            pace.allow(float("inf"))
        assert isinstance(upload.result().outcome, Accepted)
        assert (sending.body.held, sending.body.held_s > 0) == (False, True)


async def test_a_cap_that_holds_nothing_back_is_no_excuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces that pass at once add nothing to the time our cap took: a slow body is the server's then."""
    # However busy the machine is: the clock of the loop stands still.
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: 1000.0)
    body = UploadBody(
        frame(fields=(), file_field="files", filename="a", boundary="b"),
        loaded(b"x" * 50_000),
        content_type="multipart/form-data",
        on_handed=lambda _: None,
        pace=HandPace(5000),
    )
    await body._wait_for(HandPace(5000), 5000)
    assert (body.held, body.held_s) == (False, 0.0)


async def test_a_server_that_stalls_is_given_up_under_a_cap_as_well() -> None:
    """Pieces that pass our cap and do not leave are the server's stall."""

    async def ignores(exchange: Exchange) -> None:
        await exchange.released.wait()

    server = ScriptedServer(ignores)
    pace = HandPace(50_000)
    async with server.running(receive_bytes=65536), transport_to(server.url, stall_s=60) as transport:
        async with asyncio.TaskGroup() as tasks:
            upload = tasks.create_task(ship(transport, Blocks(16 * BLOCK), pace=pace))
            (sending,) = await _sending(transport)
            await until_still(lambda: sending.body.held or (len(pace.asked), sending.body.position))
            assert not sending.body.held
            look(transport, 59.0)
            assert sending.given_up is None
            look(transport, 61.0)
        assert upload.result().outcome == Unavailable(reason="no progress for 1 min 00 s")


async def test_an_early_refusal_does_not_wait_for_the_cap() -> None:
    """A server that says no in the midst of a slow body is heard at once, and no further piece is asked for."""
    server = ScriptedServer(refuses_early(answer(413, b"too large"), lingers=True))
    pace = HandPace(5000, allowed=2)
    async with server.running(), transport_to(server.url) as transport:
        async with asyncio.timeout(20):
            report = await ship(transport, Blocks(BLOCK), pace=pace)
        assert isinstance(report.outcome, Rejected)
        await until(lambda: pace.waiting_count == 0)
    assert len(pace.asked) == 3
    assert not report.sent.complete


async def test_a_stop_does_not_wait_for_the_cap() -> None:
    """What is given up while it waits was not sent, or is in doubt only if all of it was."""
    server = ScriptedServer(accepts())
    pace = HandPace(5000, allowed=2)
    async with server.running(), transport_to(server.url) as transport:
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            upload = tasks.create_task(ship(transport, Blocks(BLOCK), pace=pace))
            await until(lambda: len(pace.asked) == 3)
            transport.end_all("told to stop")
        assert not isinstance(upload.result().outcome, InDoubt)
        await until(lambda: pace.waiting_count == 0)


async def test_bytes_arrive_no_faster_than_the_cap() -> None:
    """Measured where they arrive: at no time more than the cap and its burst, small and large bodies together."""
    rate = 1_000_000.0
    arrived: list[tuple[float, int]] = []

    async def counts(exchange: Exchange) -> None:
        body, wanted = exchange.request.body, exchange.request.content_length
        while len(body) < wanted:
            data = await exchange.reader.read(wanted - len(body))
            body += data
            arrived.append((time.monotonic(), len(data)))
        await exchange.send(answer(body={"id": f"file-{len(server.requests)}-{wanted}"}))

    server = ScriptedServer(counts)
    clock = SystemClock()
    bandwidth = BandwidthGate(
        CappedController(Caps(bandwidth=Timetable.always(rate)), minute_of_day=0), clock, CallbackErrors()
    )
    sources: list[Source] = [Blocks(400_000), Blocks(400_000), *(loaded(b"x" * 20_000) for _ in range(40))]
    async with server.running(), transport_to(server.url) as transport:
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number, source in enumerate(sources):
                tasks.create_task(ship(transport, source, name=f"{number}.jsonl", pace=bandwidth))
    total = 0
    for at, count in arrived:
        total += count
        assert total <= rate * (at - began) + 0.15 * rate
    assert total > 1_600_000


async def _sending(transport: Transport) -> list[watchdog.InFlight]:
    await until(lambda: transport._exchanges.watchdog.sending)
    return list(transport._exchanges.watchdog.sending)
