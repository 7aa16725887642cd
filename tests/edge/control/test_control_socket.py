"""The socket by which a person reaches a run: where it lies, who may use it, and what no client can do to it."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bulk_upload.core.run.control import (
    MESSAGE_BYTES_MAX,
    ControlAnswer,
    ControlRequest,
    decode_answer,
    encode,
)
from bulk_upload.edge.control import ask, client, listening
from bulk_upload.edge.control.place import ADDRESS_BYTES_MAX, short_address, socket_path
from bulk_upload.edge.control.server import CONNECTIONS_MAX
from bulk_upload.errors import NoRunAtWork
from tests.waiting import until

PAUSE = ControlRequest(paused=True)
DONE = ControlAnswer(changes=("paused",))


class FakeRun:
    """Answers every request, and notes it with who asked."""

    def __init__(self) -> None:
        self.heard: list[tuple[ControlRequest, str]] = []
        self.troubles: list[str] = []
        self.errors: list[BaseException] = []
        self.stuck = False
        self.broken = False

    async def answer(self, request: ControlRequest, by: str) -> ControlAnswer:
        """Note it; while the run is stuck no answer comes."""
        self.heard.append((request, by))
        if self.stuck:
            await asyncio.Event().wait()
        if self.broken:
            raise KeyError("a bug of ours")
        return DONE

    @asynccontextmanager
    async def listening(self, ledger: Path) -> AsyncIterator[None]:
        """Take requests for a ledger."""
        async with listening(
            os.fspath(ledger), self.answer, on_trouble=self.troubles.append, on_error=self.errors.append
        ):
            yield


async def asked(ledger: Path, request: ControlRequest = PAUSE) -> ControlAnswer:
    """Ask as another process would."""
    return await asyncio.to_thread(ask, os.fspath(ledger), request, answer_s=20.0)


async def raw(ledger: Path, data: bytes) -> bytes:
    """Send any bytes, with an end, and return what comes back."""
    reader, writer = await asyncio.open_unix_connection(socket_path(os.fspath(ledger)))
    try:
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(20):
            return await reader.read()
    except (BrokenPipeError, ConnectionResetError):
        return b""
    finally:
        writer.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Where a ledger would lie."""
    return tmp_path / "m.ledger.db"


async def test_a_request_reaches_the_run_with_who_asks(ledger: Path) -> None:
    """The kernel says who it is, not the client."""
    run = FakeRun()
    async with run.listening(ledger):
        assert await asked(ledger) == DONE
    ((request, by),) = run.heard
    assert request == PAUSE
    assert re.fullmatch(rf"(\S+ \(uid {os.geteuid()}\)|uid {os.geteuid()})", by)
    assert run.troubles == []


async def test_only_its_owner_may_use_the_socket(ledger: Path) -> None:
    """It is a socket beside the ledger with mode 0600, also where the umask is generous, and gone afterwards."""
    path = Path(socket_path(os.fspath(ledger)))
    assert path == ledger.with_name("m.ledger.db.control")
    before = os.umask(0)
    try:
        async with FakeRun().listening(ledger):
            status = path.lstat()
            assert stat.S_ISSOCK(status.st_mode)
            assert stat.S_IMODE(status.st_mode) == 0o600
    finally:
        os.umask(before)
    assert not path.exists()


async def test_another_user_is_turned_away(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should anybody else get through to it, the run does not hear him."""
    run = FakeRun()
    monkeypatch.setattr("bulk_upload.edge.control.server.peer_uid", lambda _: os.geteuid() + 1)
    async with run.listening(ledger):
        answer = await asked(ledger)
    assert answer.error == "this run is another user's"
    assert run.heard == []


async def test_another_users_socket_is_not_asked(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder that others may write to, somebody else may listen: he is told nothing."""
    run = FakeRun()
    async with run.listening(ledger):
        monkeypatch.setattr("bulk_upload.edge.control.client.peer_uid", lambda _: 4242)
        monkeypatch.setattr("bulk_upload.edge.control.client.os.geteuid", lambda: 4343)
        with pytest.raises(NoRunAtWork, match="another user listens there"):
            await asked(ledger)
    assert run.heard == []


@pytest.mark.parametrize("depth", [1, 12])
@pytest.mark.parametrize("name", ["m.ledger.db", "n" * 200 + ".ledger.db", "ü" * 60 + ".ledger.db"])
async def test_long_paths_work(tmp_path: Path, depth: int, name: str) -> None:
    """A socket address is short, a path need not be: nothing is left behind in the folder for short names."""
    folder = tmp_path.joinpath(*["a folder with quite a name"] * depth)
    folder.mkdir(parents=True)
    run = FakeRun()
    async with run.listening(folder / name):
        assert await asked(folder / name) == DONE
        (found,) = folder.iterdir()
        assert os.fspath(found) == socket_path(os.fspath(folder / name))
    assert run.troubles == []
    assert list(folder.iterdir()) == []


def test_a_short_address_is_the_path_itself(tmp_path: Path) -> None:
    """Only a path that does not fit goes by way of a link, and the link is gone afterwards."""
    with short_address("/short/path") as address:
        assert address == "/short/path"
    long = tmp_path.joinpath(*["long"] * 40) / "name"
    with short_address(os.fspath(long)) as address:
        assert len(os.fsencode(address)) <= ADDRESS_BYTES_MAX
        link = Path(address).parent
        assert os.readlink(link) == os.fspath(long.parent)
        assert stat.S_IMODE(link.parent.stat().st_mode) == 0o700
    assert not link.parent.exists()


async def test_two_ledgers_with_long_names_do_not_share_a_socket(tmp_path: Path) -> None:
    """Names that differ in their last letter only have sockets of their own."""
    one, two = tmp_path / ("n" * 200 + "1"), tmp_path / ("n" * 200 + "2")
    assert socket_path(os.fspath(one)) != socket_path(os.fspath(two))


async def test_a_link_to_a_ledger_reaches_its_run(tmp_path: Path, ledger: Path) -> None:
    """A symbolic link to a ledger is that ledger."""
    ledger.touch()
    link = tmp_path / "link.db"
    link.symlink_to(ledger)
    async with FakeRun().listening(ledger):
        assert await asked(link) == DONE


async def test_the_socket_of_a_killed_run_is_replaced(ledger: Path) -> None:
    """Whoever holds the run lock knows that nobody listens there."""
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    dead.bind(socket_path(os.fspath(ledger)))
    dead.close()
    with pytest.raises(NoRunAtWork, match="no run is active"):
        await asked(ledger)
    run = FakeRun()
    async with run.listening(ledger):
        assert await asked(ledger) == DONE
    assert run.troubles == []


async def test_another_file_in_its_place_is_left_alone(ledger: Path) -> None:
    """The run goes on without control, and says why."""
    path = Path(socket_path(os.fspath(ledger)))
    path.write_text("mine")
    run = FakeRun()
    async with run.listening(ledger):
        with pytest.raises(NoRunAtWork):
            await asked(ledger)
    assert path.read_text() == "mine"
    (trouble,) = run.troubles
    assert "another file has the name" in trouble


async def test_a_socket_that_took_its_place_is_left_alone(ledger: Path) -> None:
    """At its end a run removes what it made, and nothing else."""
    path = Path(socket_path(os.fspath(ledger)))
    async with FakeRun().listening(ledger):
        path.unlink()
        path.write_text("mine")
    assert path.read_text() == "mine"


def test_no_run_is_told_as_such(ledger: Path) -> None:
    """With the ledger and a way on."""
    with pytest.raises(NoRunAtWork, match=r"m\.ledger\.db") as caught:
        ask(os.fspath(ledger), PAUSE)
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"hello\n",
        b'{"paused": 3}\n',
        b'{"delete": "all"}\n',
        b"\x00\xff\xfe\n",
        b"[" * (MESSAGE_BYTES_MAX - 2) + b"\n",
        b'{"paused": true' + b" " * 3 * MESSAGE_BYTES_MAX + b"}\n",
        b"x" * 20 * MESSAGE_BYTES_MAX,
    ],
)
async def test_what_is_no_request_does_nothing(ledger: Path, data: bytes) -> None:
    """Nonsense and lines without end are answered or dropped; the run does not hear them, and the next client is served."""
    run = FakeRun()
    async with run.listening(ledger):
        answer = await raw(ledger, data)
        assert not answer or decode_answer(answer).error is not None
        assert run.heard == []
        assert await asked(ledger) == DONE


async def test_one_request_a_connection(ledger: Path) -> None:
    """What follows the first line is not read."""
    run = FakeRun()
    async with run.listening(ledger):
        answer = await raw(ledger, encode(PAUSE) + encode(ControlRequest(paused=False)))
        assert answer.count(b"\n") == 1
    assert [request for request, _ in run.heard] == [PAUSE]


async def test_silent_clients_are_dropped_in_time(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says nothing keeps a place for a few seconds only; beyond the places others are turned away at once."""
    monkeypatch.setattr("bulk_upload.edge.control.server.READ_S", 0.5)
    path = socket_path(os.fspath(ledger))
    async with FakeRun().listening(ledger):
        silent = [await asyncio.open_unix_connection(path) for _ in range(CONNECTIONS_MAX)]
        async with asyncio.timeout(20):
            # The ninth gets nothing, and at once: while the others still wait.
            assert await raw(ledger, encode(PAUSE)) == b""
            assert not silent[0][0].at_eof()
            for reader, _ in silent:
                assert await reader.read() == b""
        assert await asked(ledger) == DONE
        for _, writer in silent:
            writer.close()


async def test_a_shortage_of_descriptors_passes(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that cannot be accepted now is accepted a little later; the run goes on."""
    accept = socket.socket.accept
    failures = iter([OSError(errno.EMFILE, "Too many open files")])

    def short(self: socket.socket) -> tuple[socket.socket, object]:
        if (error := next(failures, None)) is not None:
            raise error
        return accept(self)

    monkeypatch.setattr("bulk_upload.edge.control.server.ACCEPT_AGAIN_S", 0.01)
    monkeypatch.setattr(socket.socket, "accept", short)
    async with FakeRun().listening(ledger):
        assert await asked(ledger) == DONE
    assert next(failures, None) is None


async def test_a_client_that_leaves_is_forgotten(ledger: Path) -> None:
    """Before its line is whole, or before its answer."""
    run = FakeRun()
    async with run.listening(ledger):
        for data in (b"", b'{"pau', encode(PAUSE)):
            _, writer = await asyncio.open_unix_connection(socket_path(os.fspath(ledger)))
            writer.write(data)
            writer.transport.abort()
        assert await asked(ledger) == DONE


async def test_the_end_of_the_run_waits_for_nobody(ledger: Path) -> None:
    """An answer that is not there yet is dropped with its connection, and the client is told that there is none."""
    run = FakeRun()
    run.stuck = True
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        async with run.listening(ledger):
            waiting = tasks.create_task(_refused(ledger))
            await until(lambda: run.heard)
        assert "gave no usable answer" in await waiting


async def test_a_run_that_hangs_is_not_waited_for_for_ever(ledger: Path) -> None:
    """The client gives up after its time."""
    run = FakeRun()
    run.stuck = True
    async with run.listening(ledger):
        with pytest.raises(NoRunAtWork, match="no usable answer: timed out"):
            await asyncio.to_thread(ask, os.fspath(ledger), PAUSE, answer_s=0.2)
    assert client.ANSWER_S > 0.2


async def _refused(ledger: Path) -> str:
    with pytest.raises(NoRunAtWork) as caught:
        await asked(ledger)
    return str(caught.value)


async def test_an_error_while_a_request_is_answered_is_handed_on(ledger: Path) -> None:
    """A connection's task is nobody's: what it raises goes to the run, and the client gets no answer."""
    run = FakeRun()
    run.broken = True
    async with run.listening(ledger):
        assert await raw(ledger, encode(PAUSE)) == b""
        await until(lambda: run.errors)
    assert [type(one) for one in run.errors] == [KeyError]
