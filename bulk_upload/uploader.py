"""The library's front door: what the command line does, in a few lines of Python."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Required, TypedDict, Unpack

from bulk_upload.core.api.connection import ANSWER_S, STALL_S, Connection
from bulk_upload.core.api.endpoint import endpoint_of
from bulk_upload.core.api.network import DIRECT
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.job_runner import JobRunner

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from bulk_upload.core.api.network import Network
    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.run.job import Job
    from bulk_upload.core.run.settings import RunSettings
    from bulk_upload.job_run import Result


class Uploader(JobRunner):
    """Uploads to one endpoint with one key.

    Args:
        api_key: sent as it is, in the profile's header. A callable is asked for it, and asked again, once, when the
            server refuses the key during a run.
        base_url: by default the profile's own.
        team: for the profile's team header.
        settings: of every run.
        stall_s: how long a request, or a call to the file system, may make no progress.
        answer_s: how long the whole response may take after the last byte of a body was sent.
        min_bytes_per_s: the lowest speed of a body over a minute; 0 accepts any speed.
        allow_plain_http: the key may go unencrypted to a server that is not this machine.
        network: proxy and certificates.
        purposes: the rules of each purpose; `core.schema_file.read_schemas` reads additional ones.
        on_event: called with every event of every run, on the event loop; must be quick and must not raise.
        clock: time and randomness.

    Raises UsageError when the key or the address cannot be used.
    """

    def __init__(
        self,
        *,
        api_key: str | Callable[[], str],
        base_url: str | None = None,
        profile: Profile = FLOW,
        team: str | None = None,
        settings: RunSettings | None = None,
        stall_s: float = STALL_S,
        answer_s: float = ANSWER_S,
        min_bytes_per_s: float = 0.0,
        allow_plain_http: bool = False,
        network: Network = DIRECT,
        purposes: Mapping[str, Purpose] = PURPOSES,
        on_event: Callable[[Event], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(
            Connection(
                endpoint=endpoint_of(
                    profile.base_url if base_url is None else base_url,
                    allow_plain_http=allow_plain_http,
                    files_path=profile.files_path,
                ),
                profile=profile,
                team=team,
                network=network,
                stall_s=stall_s,
                answer_s=answer_s,
                min_bytes_per_s=min_bytes_per_s,
            ),
            api_key=api_key,
            settings=settings,
            purposes=purposes,
            on_event=on_event,
            clock=clock,
        )


class UploaderOptions(TypedDict, total=False):
    """The arguments of `Uploader`, for `upload`."""

    api_key: Required[str | Callable[[], str]]
    base_url: str | None
    profile: Profile
    team: str | None
    settings: RunSettings | None
    stall_s: float
    answer_s: float
    min_bytes_per_s: float
    allow_plain_http: bool
    network: Network
    purposes: Mapping[str, Purpose]
    on_event: Callable[[Event], None] | None
    clock: Clock | None


def upload(job: Job | str | os.PathLike[str], **options: Unpack[UploaderOptions]) -> Result:
    """Run a job to its end and return the Result: the synchronous one-call form of `Uploader`.

    Keyword arguments are those of `Uploader`. Also works where an event loop is already running (a notebook):
    the run then has a thread of its own.
    """

    async def whole() -> Result:
        async with Uploader(**options) as up:
            return await up.run(job)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(whole())
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(whole())).result()
