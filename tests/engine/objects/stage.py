"""Runs of jobs whose files lie in the sandbox's object store, and whose server is the sandbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.model import Entry
from bulk_upload.core.run.job import Job
from bulk_upload.core.run.retry import RetryPolicy
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.job_runner import JobRunner
from tests.edge.objects.stage import options_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from bulk_upload.core.events import Event
    from bulk_upload.job_run import Result
    from bulk_upload.sandbox import Sandbox
    from bulk_upload.sandbox.objects import ObjectStore

LINE = (
    json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}) + "\n"
)
SETTINGS = RunSettings(
    settle_s=1.0, retry_policy=RetryPolicy(backoff_s_initial=0.01, backoff_s_max=0.02, local_limit_s=0.01)
)


def example(number: int) -> str:
    """Return a valid line of training data, another one for each number."""
    return LINE.replace('"a"', f'"a{number}"')


def job_of(folder: Path, store: ObjectStore, paths: Iterable[str]) -> Job:
    """Return a job with these objects."""
    return Job(
        entries=[Entry(path=path, purpose="fine-tune") for path in paths],
        ledger=folder / "a.ledger.db",
        root=folder,
        sources=[options_of(store)],
    )


async def run(
    job: Job,
    server: Sandbox,
    *,
    settings: RunSettings = SETTINGS,
    stall_s: float = 60.0,
    on_event: Callable[[Event], None] | None = None,
) -> Result:
    """Run a job to its end."""
    connection = Connection(endpoint=server.url, profile=replace(FLOW), stall_s=stall_s)
    async with JobRunner(connection, api_key="key", settings=settings, on_event=on_event) as runner:
        return await runner.run(job)
