"""Files that are missing, unreadable or refused: one of them never holds up the others."""

from __future__ import annotations

import errno
import os

import pytest
from msgspec.structs import replace

from bulk_upload.core.events import Event, PlanMade
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.plan import Step
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.exit_status import ExitStatus
from tests.fakes.world import LARGE_BYTES, Ran, Scene, World


def _world(*, count: int = 3, size: int = 1000) -> World:
    world = World()
    for number in range(count):
        world.add(f"{number}.jsonl", size)
    return world


def _status(ran: Ran) -> ExitStatus:
    assert ran.result is not None
    assert ran.scene.violations == []
    return ran.result.status


def _sent(ran: Ran) -> list[str]:
    return sorted(ran.told.started())


def test_a_missing_file_fails_and_the_others_are_sent() -> None:
    """It is an entry with a state and a reason; the plan counts it, and the verdict says that not all is well."""
    world = _world()
    world.files.remove("1.jsonl")
    ran = world.run()
    assert _status(ran) is ExitStatus.SOME_FAILED
    assert _sent(ran) == ["0.jsonl", "2.jsonl"]
    assert world.states()["1.jsonl"] is EntryState.FAILED_LOCAL
    assert world.ledger.reason("1.jsonl") == "the file cannot be used"
    (ending,) = [one for one in ran.told.settled() if one.path == "1.jsonl"]
    assert (ending.state, ending.reason) == (EntryState.FAILED_LOCAL, "the file cannot be used")
    (plan,) = [one for _, one in ran.told.events if isinstance(one, PlanMade)]
    assert (plan.send_count, plan.missing_count) == (2, 1)


def test_it_is_looked_at_again_without_being_asked() -> None:
    """Still missing, it still fails; back, it is sent, and nothing else is."""
    world = _world()
    file = world.files.find("1.jsonl")
    assert file is not None
    world.files.remove("1.jsonl")
    world.run()
    ran = world.run()
    assert (_status(ran), _sent(ran)) == (ExitStatus.SOME_FAILED, [])
    world.files.write("1.jsonl", file.content)
    ran = world.run()
    assert (_status(ran), _sent(ran)) == (ExitStatus.DONE, ["1.jsonl"])


@pytest.mark.parametrize("size", [1000, LARGE_BYTES], ids=["small", "large"])
@pytest.mark.parametrize("gone", [True, False], ids=["gone", "denied"])
def test_a_file_that_is_lost_after_the_plan_is_looked_at_again(size: int, gone: bool) -> None:
    """What the attempt could not read is as good as missing, also when the same version is there later."""
    world = _world(size=size)
    lost = world.files.find("1.jsonl")
    assert lost is not None

    def lose(event: Event) -> None:
        if isinstance(event, PlanMade):
            (world.files.remove if gone else world.files.deny)("1.jsonl")

    ran = world.run(script=lambda scene: scene.hooks.append(lose))
    assert _status(ran) is ExitStatus.SOME_FAILED
    assert world.states()["1.jsonl"] is EntryState.FAILED_LOCAL
    world.files._files["1.jsonl"] = lost
    ran = world.run()
    assert (_status(ran), _sent(ran)) == (ExitStatus.DONE, ["1.jsonl"])


def test_a_file_that_failed_for_its_content_waits_to_be_asked_for() -> None:
    """A version that could be read and not be sent is not tried again by itself; another one is."""
    world = _world(count=1, size=LARGE_BYTES)

    def script(scene: Scene) -> None:
        def change(event: Event) -> None:
            if type(event).__name__ == "AttemptStarted":
                scene.after(0.001, lambda: world.files.touch("0.jsonl"))

        scene.hooks.append(change)

    world.run(script=script)
    assert world.states() == {"0.jsonl": EntryState.FAILED_LOCAL}
    row = world.ledger.connection.execute("SELECT size FROM entries").fetchone()
    assert row == (LARGE_BYTES,)


def test_an_accepted_file_that_is_gone_stays_accepted() -> None:
    """A receipt is about the server."""
    world = _world(count=1)
    world.run()
    world.files.remove("0.jsonl")
    ran = world.run()
    assert _status(ran) is ExitStatus.DONE
    assert world.states() == {"0.jsonl": EntryState.ACCEPTED}


def test_a_mount_that_fails_leaves_its_entries_pending() -> None:
    """The file is not at fault and nothing is settled: the next run looks again."""
    world = _world()
    reason = f'"1.jsonl" cannot be read: {os.strerror(errno.ESTALE)}'

    def script(scene: Scene) -> None:
        scene.entries.staged[1] = replace(
            scene.entries.staged[1], step=Step.UNREACHABLE, note=reason, fingerprint=None
        )

    ran = world.run(script=script)
    assert _status(ran) is ExitStatus.UNFINISHED
    assert _sent(ran) == ["0.jsonl", "2.jsonl"]
    assert world.states()["1.jsonl"] is EntryState.PENDING
    assert world.ledger.reason("1.jsonl") == reason
    assert _status(world.run()) is ExitStatus.DONE


def test_missing_files_are_no_failures_of_the_run() -> None:
    """However many are missing, and whatever --max-errors says, the others are sent."""
    world = _world(count=60)
    for number in range(0, 60, 2):
        world.files.remove(f"{number}.jsonl")
    ran = world.run(RunSettings(errors_max=1))
    assert _status(ran) is ExitStatus.SOME_FAILED
    assert len(_sent(ran)) == 30


def test_a_missing_file_keeps_what_the_server_said() -> None:
    """A rejected entry is still rejected while its file is away, and when the same version is back."""
    world = _world(count=1)
    world.run()
    world.ledger.connection.execute("UPDATE entries SET state = 'rejected', reason = 'HTTP 413'")
    file = world.files.find("0.jsonl")
    assert file is not None
    world.files.remove("0.jsonl")
    for _ in range(2):
        ran = world.run()
        assert (_status(ran), _sent(ran)) == (ExitStatus.SOME_FAILED, [])
        assert world.states() == {"0.jsonl": EntryState.REJECTED}
        world.files._files["0.jsonl"] = file
