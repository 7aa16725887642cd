"""Second copies go only where the file of a receipt was seen and a lost answer explains them, whoever else deletes."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.api.paging import ListedPage, PageRequest
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.api.server_clock import ClockOffset
from bulk_upload.core.doubt.content import ByteRange, ReadBack
from bulk_upload.core.model import ListedFile
from bulk_upload.core.run.verify import LAST, NEWER, NO_NEWER, TOO_MANY, UNEXPLAINED, DifferenceKind
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger import Deleted, Inventory, PlannedDeletion, note_clock_step
from bulk_upload.edge.ledger.deletions import ask, unfinished
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.after.undo import UNREADABLE, Undoing, UndoScope
from bulk_upload.engine.after.verify import Verifier
from bulk_upload.engine.doubt.api_retry import ApiRetry
from bulk_upload.engine.doubt.inquiry import ContentInquiry
from tests.edge.ledger.stage import LOST, PRINT, START_S, Store, accepted, entry, stored
from tests.fakes.virtual_time import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Moment
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.verify import Difference
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.after.undo import Undone
    from bulk_upload.engine.after.verify import Verified

SENT_SHA256 = "a" * 64


class Server:
    """Has files of one name and size; each call takes a while of its own."""

    clock_offset_s: float | None = 0.0
    has_content = True
    ahead_s = 0.0
    """The server's clock minus that of the ledger's runs."""

    def clock_offset(self, then: Moment) -> ClockOffset:
        """Say that both clocks agree."""
        return ClockOffset(best_s=0.0, least_s=0.0)

    def __init__(self, chance: random.Random | None = None) -> None:
        self.files: dict[str, ListedFile] = {}
        self.sha256s: dict[str, str] = {}
        self.refuses: dict[str, int] = {}
        """The HTTP status with which it refuses the content of a file."""
        self._chance = chance

    def store(self, file_id: str, at_s: float, *, sha256: str = SENT_SHA256) -> None:
        """Have a file from then on."""
        self.files[file_id] = ListedFile(
            file_id=file_id,
            filename="name",
            bytes=PRINT.size,
            purpose="fine-tune",
            created_at=utc_text(START_S + at_s + self.ahead_s),
        )
        self.sha256s[file_id] = sha256

    async def list_page(self, request: PageRequest) -> ListedPage:
        """Return all files."""
        await self._pause()
        return ListedPage(list(self.files.values())[request.offset : request.offset + request.limit])

    async def look_up(self, file_id: str) -> ListedFile | None:
        """Return a file."""
        await self._pause()
        found = self.files.get(file_id)
        await self._pause()
        return found

    async def sha256_of(self, file_id: str) -> str | None:
        """Return the hash of a file."""
        await self._pause()
        if file_id in self.refuses:
            raise NoAnswer(f"reading {file_id} back gave no usable answer", http_status=self.refuses[file_id])
        return self.sha256s[file_id] if file_id in self.files and self.has_content else None

    async def read_back(
        self, file_id: str, *, file_bytes: int, ranges: tuple[ByteRange, ...] = ()
    ) -> ReadBack:
        """Return the hash of a file, or why there is none."""
        sha256 = await self.sha256_of(file_id)
        reason = "the server returns no content, HTTP 404" if sha256 is None else ""
        return ReadBack(sha256=sha256, read_bytes=0 if sha256 is None else file_bytes, reason=reason)

    async def download(
        self, file_id: str, write: Callable[[bytes], object], *, file_bytes: int | None
    ) -> ReadBack:
        """Return what `read_back` does; nothing is written."""
        return await self.read_back(file_id, file_bytes=file_bytes or 0)

    async def delete(self, file_id: str) -> bool:
        """Delete a file."""
        await self._pause()
        return self.files.pop(file_id, None) is not None

    async def _pause(self) -> None:
        for _ in range(self._chance.randint(0, 8) if self._chance else 0):
            await asyncio.sleep(0)


class Steps:
    """Runs the steps of one ledger, each a transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, act: Callable[[LedgerStore], Any]) -> Any:
        """Run one step."""
        await asyncio.sleep(0)
        self._store.connection.execute("BEGIN")
        result = act(self._store)
        self._store.connection.execute("COMMIT")
        return result


class Host:
    """One ledger of a job of one file, and what its commands do."""

    def __init__(self, path: Path, store: Store, server: Server) -> None:
        self.store = store
        self.undone: list[Undone] = []
        (self.entry_id,) = store.known(entry("a"))
        self._path = os.fspath(path)
        self._server = server
        self._inquiry = ContentInquiry(server, ApiRetry(VirtualClock()))

    def loses(self, file_id: str | None, at_s: float) -> None:
        """Send the file and get no answer; without an id the server does not store it. It is to be sent again."""
        if file_id is not None:
            self._server.store(file_id, at_s)
        self.store.tried(self.entry_id, LOST, utc_s=START_S + at_s)
        (doubt,) = self.store.open_doubts()
        self.store.release(doubt, "absent", utc_s=START_S + at_s)

    def gets(self, file_id: str, at_s: float) -> None:
        """Send the file and get a receipt."""
        self._server.store(file_id, at_s)
        created_at = self._server.files[file_id].created_at
        self.store.tried(self.entry_id, accepted(file_id, created_at=created_at), utc_s=START_S + at_s)

    async def verify(self, profile: Profile) -> tuple[list[Difference], Verified]:
        """Do `verify --content`; return what it found, and what it compared."""
        inventory = Inventory(self._path)
        verifier = Verifier(
            inventory, self._inquiry, profile=profile, job_began_utc_s=START_S, questions_max=4
        )
        try:
            return [one async for one in verifier.verify(content=True)], verifier.verified
        finally:
            verifier.close()
            inventory.close()

    async def undo(self, *, named: Collection[str] = ()) -> dict[str, tuple[Deleted | None, str | None]]:
        """Do `undo --only duplicates`; return what became of each copy, and why."""
        inventory = Inventory(self._path)
        verifier = Verifier(inventory, self._inquiry, profile=FLOW, job_began_utc_s=START_S, questions_max=4)
        try:
            copies = await verifier.duplicates()
        finally:
            verifier.close()
            inventory.close()
        undoing = self.undoing()
        await undoing.finish()
        await undoing.duplicates(copies, named=named)
        return self.fates()

    async def undo_superseded(self) -> dict[str, tuple[Deleted | None, str | None]]:
        """Do `undo --only superseded`; return what became of each file, and why."""
        await self.undoing().receipts(UndoScope.SUPERSEDED)
        return self.fates()

    def fates(self) -> dict[str, tuple[Deleted | None, str | None]]:
        """Return what became of each file so far, and why."""
        return {one.file_id: (one.outcome, one.reason) for one in self.undone}

    def undoing(self) -> Undoing:
        """Return what deletes."""
        return Undoing(
            ledger=cast("Ledger[LedgerStore]", Steps(self.store)),
            inquiry=self._inquiry,
            clock=VirtualClock(),
            asked_by="test",
            on_undone=self.undone.append,
            questions_max=4,
        )


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def host(tmp_path: Path, server: Server) -> Iterator[Host]:
    with stored(tmp_path / "a") as store:
        yield Host(tmp_path / "a", store, server)


async def test_what_a_lost_answer_left_goes(host: Host, server: Server) -> None:
    """The receipt's own file is there and newer: the copy of the first attempt is deleted."""
    host.loses("copy", 0)
    host.gets("own", 100)
    assert await host.undo() == {"copy": (Deleted.DELETED, None)}
    assert set(server.files) == {"own"}


@pytest.mark.parametrize("offset_s", [None, 0.0])
@pytest.mark.parametrize("ahead_s", [-86_400.0, -20.0, 20.0, 3600.0])
async def test_the_ledgers_own_files_show_the_servers_time(
    host: Host, server: Server, ahead_s: float, offset_s: float | None
) -> None:
    """Whatever `Date` says today: the answered upload of the run shows when the lost one was made."""
    server.ahead_s, server.clock_offset_s = ahead_s, offset_s
    host.loses("copy", 0)
    host.gets("own", 100)
    assert await host.undo() == {"copy": (Deleted.DELETED, None)}
    assert set(server.files) == {"own"}


async def test_an_adopted_file_shows_no_time(host: Host, server: Server) -> None:
    """Only the answer to an upload proves when its file was made; without one the copy may be another job's."""
    server.ahead_s, server.clock_offset_s = 3600.0, None
    host.loses("copy", 0)
    host.gets("own", 100)
    host.store.connection.execute("UPDATE receipts SET obtained = 'adopted'")
    assert await host.undo() == {"copy": (Deleted.KEPT, UNEXPLAINED)}


async def test_a_run_whose_clock_was_set_shows_no_time(host: Host, server: Server) -> None:
    """The attempt may have been made before the step or after it."""
    server.ahead_s, server.clock_offset_s = 3600.0, None
    host.loses("copy", 0)
    host.gets("own", 100)
    note_clock_step(host.store, step_s=-20.0, utc_s=START_S + 50)
    assert await host.undo() == {"copy": (Deleted.KEPT, UNEXPLAINED)}


async def test_a_copy_stays_when_the_file_of_the_receipt_is_gone(host: Host, server: Server) -> None:
    """It may be the last one, also for a person who gives its id."""
    host.loses("copy", 0)
    host.gets("own", 100)
    del server.files["own"]
    assert await host.undo() == {"copy": (Deleted.KEPT, LAST)}
    assert await host.undo(named=["copy"]) == {"copy": (Deleted.KEPT, LAST)}
    assert set(server.files) == {"copy"}


async def test_a_copy_stays_when_the_file_of_the_receipt_is_another(host: Host, server: Server) -> None:
    """A file with the receipt's id and another size is no proof that the content is there."""
    host.loses("copy", 0)
    host.gets("own", 100)
    server.files["own"] = ListedFile(
        file_id="own", filename="name", bytes=1, purpose="fine-tune", created_at=utc_text(START_S + 100)
    )
    assert await host.undo() == {"copy": (Deleted.KEPT, LAST)}


async def test_a_copy_that_nothing_explains_stays_until_it_is_named(host: Host, server: Server) -> None:
    """Every upload of this ledger was answered: another ledger may have sent it."""
    host.gets("own", 0)
    server.store("copy", 0.5)
    assert await host.undo() == {"copy": (Deleted.KEPT, UNEXPLAINED)}
    assert await host.undo(named=["copy"]) == {"copy": (Deleted.DELETED, None)}
    assert set(server.files) == {"own"}


async def test_one_lost_answer_explains_one_copy(host: Host, server: Server) -> None:
    """Which of two copies is this ledger's cannot be known, so both stay."""
    host.loses("copy", 0)
    server.store("twin", 0.5)
    host.gets("own", 100)
    assert await host.undo() == {"copy": (Deleted.KEPT, TOO_MANY), "twin": (Deleted.KEPT, TOO_MANY)}


async def test_other_content_takes_no_lost_answer_away(host: Host, server: Server) -> None:
    """A file of the same name and size with other bytes is none of this job's copies."""
    host.loses("copy", 0)
    server.store("other", 0.5, sha256="b" * 64)
    host.gets("own", 100)
    assert (await host.undo())["copy"] == (Deleted.DELETED, None)
    assert set(server.files) == {"other", "own"}


async def test_a_copy_newer_than_the_file_of_the_receipt_stays(host: Host, server: Server) -> None:
    """Another ledger may rely on it, and delete the older one."""
    host.loses(None, 0)
    host.gets("own", 0)
    server.store("copy", 1)
    assert await host.undo() == {"copy": (Deleted.KEPT, NEWER)}


@pytest.mark.parametrize("own_is_there", [True, False])
async def test_a_deletion_begun_earlier_goes_on_only_while_the_file_of_the_receipt_is_there(
    host: Host, server: Server, own_is_there: bool
) -> None:
    """An `undo` was killed after it had recorded the deletion; since then the other file may have gone."""
    host.loses("copy", 0)
    host.gets("own", 100)
    one = PlannedDeletion(entry_id=host.entry_id, receipt_id=None, file_id="copy")
    ask(host.store, one, asked_by="test", utc_s=START_S + 200)
    if not own_is_there:
        del server.files["own"]
    await host.undo()
    assert set(server.files) == ({"own"} if own_is_there else {"copy"})
    assert unfinished(host.store) == []


@pytest.mark.parametrize("newer_is_there", [True, False])
async def test_an_older_version_goes_only_while_the_newer_is_there(
    host: Host, server: Server, newer_is_there: bool
) -> None:
    """Sent again with the same content, the older file may be all that is left of it."""
    host.gets("older", 0)
    host.gets("newer", 100)
    if not newer_is_there:
        del server.files["newer"]
    fate = (Deleted.DELETED, None) if newer_is_there else (Deleted.KEPT, NO_NEWER)
    assert await host.undo_superseded() == {"older": fate}


@pytest.mark.parametrize("status", [400, 403])
async def test_a_copy_whose_content_may_not_be_read_stays(host: Host, server: Server, status: int) -> None:
    """The server shows it and refuses its content: nothing shows that it is a copy, now or in another run."""
    host.loses("copy", 0)
    host.gets("own", 100)
    server.refuses["copy"] = status
    ((outcome, reason),) = (await host.undo()).values()
    assert outcome is Deleted.KEPT
    assert reason is not None
    assert reason.startswith(UNREADABLE)


async def test_a_copy_without_content_is_not_called_another(host: Host, server: Server) -> None:
    """A server that returns no content does not say that the content differs."""
    host.loses("copy", 0)
    host.gets("own", 100)
    server.has_content = False
    assert await host.undo() == {"copy": (Deleted.KEPT, UNREADABLE)}


@pytest.mark.parametrize("status", [400, 403])
async def test_verify_goes_on_past_a_content_that_may_not_be_read(
    host: Host, server: Server, status: int
) -> None:
    """It is counted, and what the server says is kept once; the other receipts are compared."""
    host.gets("first", 0)
    host.gets("second", 100)
    server.refuses["first"] = status
    server.sha256s["second"] = "b" * 64
    found, verified = await host.verify(FLOW)
    assert [(one.kind, one.file_id) for one in found] == [(DifferenceKind.CONTENT, "second")]
    assert (verified.refused_count, verified.content_count) == (1, 1)
    assert "first" in verified.refused_reason


async def test_verify_counts_as_compared_what_was_downloaded(host: Host, server: Server) -> None:
    """A file that the server lists without content is a difference, and is not counted as compared."""
    host.gets("own", 0)
    server.has_content = False
    found, verified = await host.verify(FLOW)
    assert [(one.kind, one.file_id) for one in found] == [(DifferenceKind.CONTENT, "own")]
    assert found[0].detail.endswith("the server returns no content, HTTP 404")
    assert verified.content_count == 0


@pytest.mark.parametrize("keeps_names", [True, False])
async def test_another_name_is_a_difference_only_where_names_are_kept(
    host: Host, server: Server, keeps_names: bool
) -> None:
    """A server that sanitises names has renamed nothing for good, and its files can be relied on as before."""
    host.loses(None, 0)
    host.gets("own", 0)
    server.files["own"] = replace(server.files["own"], filename="n_me")
    found, verified = await host.verify(replace(FLOW, keeps_names=keeps_names))
    assert [one.kind for one in found] == ([DifferenceKind.RENAMED] if keeps_names else [])
    assert verified.has_names is keeps_names


UPLOADS = st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=3)
"""Uploads without an answer: when, in seconds, and whether the server stored the file."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    jobs=st.lists(st.tuples(UPLOADS, st.integers(0, 3)), min_size=2, max_size=3),
    seed=st.integers(0, 2**32),
)
def test_a_file_survives_however_several_ledgers_undo_at_once(
    quick_path: Path, jobs: list[tuple[list[tuple[int, bool]], int]], seed: int
) -> None:
    """The same job with several ledgers, answers lost or not, in any order of calls: the newest copy is never deleted."""
    chance = random.Random(seed)
    server = Server(chance)
    with tempfile.TemporaryDirectory(dir=quick_path) as folder, ExitStack() as stack:
        hosts = []
        for number, (lost, answered_at_s) in enumerate(jobs):
            path = Path(folder) / str(number)
            host = Host(path, stack.enter_context(stored(path)), server)
            for at_s, stores in lost:
                host.loses(f"file-{chance.getrandbits(64):x}" if stores else None, at_s)
            host.gets(f"file-{chance.getrandbits(64):x}", answered_at_s)
            hosts.append(host)
        newest = max(server.files.values(), key=lambda one: (str(one.created_at), one.file_id)).file_id

        async def undo_all() -> None:
            await asyncio.gather(*(host.undo() for host in hosts))

        asyncio.run(undo_all())
        assert newest in server.files
