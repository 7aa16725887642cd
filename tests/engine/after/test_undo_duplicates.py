"""Second copies go only where the file of a receipt was seen and a lost answer explains them, whoever else deletes."""

from __future__ import annotations

import asyncio
import random
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk_upload.core.model import ListedFile
from bulk_upload.core.run.verify import LAST, NEWER, NO_NEWER, TOO_MANY, UNEXPLAINED
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger import Deleted, PlannedDeletion, note_clock_step
from bulk_upload.edge.ledger.deletions import ask, unfinished
from bulk_upload.engine.after.undo import UNREADABLE
from tests.edge.ledger.stage import START_S, stored
from tests.engine.after.hosts import Host, Server


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
