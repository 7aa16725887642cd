"""An API key that is rotated while agents send: it is read again once, and given to all of them."""

from __future__ import annotations

from pathlib import Path

from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.fleet.settings import FleetSettings
from bulk_upload.core.run.job import Job
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.exit_status import ExitStatus
from bulk_upload.job_run import Result
from bulk_upload.job_runner import JobRunner
from bulk_upload.sandbox import Sandbox, SandboxConfig
from tests.e2e.fleets import agents_here, job_in, serve

FLEET = agents_here(serve, serve)
FILE_COUNT = 20


class Keys:
    """A source of keys, each used up after it was read: the last one stays."""

    def __init__(self, *keys: str) -> None:
        self._keys = list(keys)
        self.read_count = 0

    def __call__(self) -> str:
        self.read_count += 1
        return self._keys.pop(0) if len(self._keys) > 1 else self._keys[0]


async def run(folder: Path, sandbox: Sandbox, keys: Keys, fleet: FleetSettings = FLEET) -> Result:
    connection = Connection(endpoint=sandbox.url, profile=FLOW)
    settings = RunSettings(concurrency=6, settle_s=1.0)
    async with JobRunner(connection, api_key=keys, settings=settings, fleet=fleet) as runner:
        return await runner.run(Job(job_in(folder, [1000] * FILE_COUNT)))


async def test_a_refused_key_is_read_again_for_all_agents(tmp_path: Path) -> None:
    """The old key is refused to every agent; the new one is read once, and everything is sent."""
    keys = Keys("the-old-key-of-this-run", "the-new-key-of-this-run")
    async with Sandbox(SandboxConfig(keys=("the-new-key-of-this-run",))) as sandbox:
        result = await run(tmp_path, sandbox, keys)
        assert result.status is ExitStatus.DONE
        assert len(sandbox.files) == FILE_COUNT
    assert keys.read_count == 2


async def test_a_key_that_stays_refused_is_final(tmp_path: Path) -> None:
    """The same key again, or another one that is refused as well: the run ends as one without agents does."""
    async with Sandbox(SandboxConfig(keys=("the-right-key-of-this-run",))) as sandbox:
        for number, keys in enumerate(
            (Keys("the-old-key-of-this-run"), Keys("old-key-1-of-this-run", "old-key-2-of-this-run"))
        ):
            folder = tmp_path / str(number)
            folder.mkdir()
            result = await run(folder, sandbox, keys)
            assert result.status is ExitStatus.CREDENTIALS_REFUSED
            assert keys.read_count >= 2
        assert sandbox.files == ()
