"""The library's front door: what the command line does, in a few lines of Python."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from msgspec.structs import replace

from bulk_upload.core.api.connection import ANSWER_S, STALL_S, Connection
from bulk_upload.core.api.endpoint import endpoint_of
from bulk_upload.core.api.network import DIRECT
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.api.redaction import Redaction
from bulk_upload.core.fleet.settings import FleetSettings
from bulk_upload.core.report.log_records import Failed, RunEnded
from bulk_upload.core.run.job import Job
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.core.vendor_purposes import purposes_of
from bulk_upload.errors import BulkUploadError
from bulk_upload.job_runner import JobRunner
from bulk_upload.library.arguments import check_uploader
from bulk_upload.library.environment import (
    key_of_environment,
    proxy_of_environment,
    usable_proxy,
    variable,
)
from bulk_upload.library.jobs import source_of
from bulk_upload.library.logs import log
from bulk_upload.library.settings import SettingOptions, settings_with
from bulk_upload.library.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

    from bulk_upload.core.api.network import Network
    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.fleet.settings import Fleet
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.engine.folder.listing import FolderListing
    from bulk_upload.engine.plan import Plan
    from bulk_upload.engine.run import Run
    from bulk_upload.job_plan import JobInput, JobPlanner
    from bulk_upload.job_run import JobRun, Result
    from bulk_upload.library.jobs import JobOptions, Source, What


class Uploader(JobRunner):
    """Uploads to one endpoint with one key; several may be at work at once, each job by one of them.

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
        purposes: the rules of each purpose, by default those of the profile; `core.validation.schema_file.read_schemas` reads additional ones.
        on_event: called with every event of every run, on the event loop; must be quick and must not raise.
        tracer: an OpenTelemetry tracer: each run gets a span, and beneath it each attempt. Needs the extra `otel`.
        meter: an OpenTelemetry meter: uploads by outcome, their duration, retries, bytes, and what is in flight are
            counted with it. Needs the extra `otel`.
        clock: time and randomness.
        processes: how many processes on this machine read and send, this one among them; with a `fleet`, 1 for none of
            this machine.
        fleet: agents on other machines that read and send in place of this process, such as `bulk_upload.dask.DaskFleet`.
        **options: any field of `RunSettings`, in place of the one in `settings`; see `SettingOptions`.

    Raises UsageError when the key, the address or a setting cannot be used.
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
        purposes: Mapping[str, Purpose] | None = None,
        on_event: Callable[[Event], None] | None = None,
        tracer: Tracer | None = None,
        meter: Meter | None = None,
        clock: Clock | None = None,
        processes: int = 1,
        fleet: Fleet | None = None,
        **options: Unpack[SettingOptions],
    ) -> None:
        check_uploader(
            {
                "base_url": base_url,
                "profile": profile,
                "team": team,
                "settings": settings,
                "stall_s": stall_s,
                "answer_s": answer_s,
                "min_bytes_per_s": min_bytes_per_s,
                "allow_plain_http": allow_plain_http,
                "network": network,
                "purposes": {} if purposes is None else purposes,
                "on_event": on_event,
                "tracer": tracer,
                "meter": meter,
                "clock": clock,
                "processes": processes,
                "fleet": fleet,
            }
        )
        redaction = Redaction()
        self._clean = redaction.clean
        self._log = partial(log, clean=redaction.clean)
        self._tracer = tracer
        self._meter = meter
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
            api_key=_learnt(redaction, api_key),
            settings=settings_with(settings or RunSettings(), options),
            purposes=purposes_of(profile.name) if purposes is None else purposes,
            on_event=self._log if on_event is None else both(self._log, on_event),
            clock=clock,
            fleet=_fleet_settings(fleet, processes),
        )

    @classmethod
    def from_env(cls, **options: Unpack[UploaderOptions]) -> Uploader:
        """Return an uploader with what the environment says; keyword arguments are those of `Uploader`, and prevail.

        Key, address and team come from the variables of the profile (of Flow `SEEKR_API_KEY`, `SEEKR_BASE_URL`,
        `SEEKR_TEAM_ID`), the proxy from `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`. `upload`, `upload_async` and `plan` do the
        same where they get no key; nothing else in the library reads the environment.

        Raises UsageError, also when there is no key.
        """
        check_uploader(options)
        profile = options.get("profile", FLOW)
        given: dict[str, Any] = dict(options)
        if "api_key" not in given:
            given["api_key"] = key_of_environment(profile)
        if "base_url" not in given:
            given["base_url"] = variable(profile.base_url_variable)
        if "team" not in given:
            given["team"] = variable(profile.team_variable)
        if "network" not in given:
            endpoint = str(given["base_url"] or profile.base_url)
            given["network"] = replace(DIRECT, proxy=usable_proxy(proxy_of_environment(endpoint)))
        return cls(**given)

    def run(
        self, what: What, *, listing: FolderListing | None = None, **options: Unpack[JobOptions]
    ) -> JobRun:
        """Return a run of a folder, a manifest, a data file, entries or a `Job`; see `upload`.

        `listing` has the entries of a folder's `Job`, where the program has listed the folder itself.

        `await` it for the Result, or iterate it (`async for entry in …`) to have each entry as it is settled;
        the iteration ends with the run, and `result` is set then. Raises UsageError, also when awaited.
        """
        if listing is not None and isinstance(what, Job):
            return super().run(what, listing=listing)
        return self._run_of(partial(source_of(what, options), self.planner))

    def plan(
        self,
        what: What,
        *,
        listing: FolderListing | None = None,
        on_entry: Callable[[PlannedEntry], None] | None = None,
        on_progress: Callable[[int], None] | None = None,
        **options: Unpack[JobOptions],
    ) -> Plan:
        """Return what a run would do now; touches nothing, sends nothing. Blocks.

        `on_entry` is called with every entry with its step and the reason for it, in order; `on_progress` is called
        periodically with how many entries were read. Raises ManifestInvalid, LedgerUnusable, UsageError.
        """
        if listing is not None and isinstance(what, Job):
            return super().plan(what, listing=listing, on_entry=on_entry, on_progress=on_progress)
        source = source_of(what, options)
        return planned_by(self.planner, source, on_entry=on_entry, on_progress=on_progress)

    async def _execute(
        self,
        source: Callable[[Callable[[int], None]], JobInput],
        emit: Callable[[Event], None],
        started: Callable[[Run], None],
    ) -> Result:
        began_s = self._clock.monotonic()
        try:
            with Telemetry(
                self._tracer, self._meter, clean=self._clean, endpoint=self._connection.endpoint
            ) as telemetry:

                def on_started(run: Run) -> None:
                    started(run)
                    telemetry.on_started(run)

                result = await super()._execute(source, telemetry.before(emit), on_started)
                telemetry.result = result
        except BulkUploadError as error:
            self._log(Failed(message=str(error), hint=error.hint, exit_code=int(error.exit_status)))
            raise
        self._log(
            RunEnded(
                exit_code=int(result.status),
                exit_name=result.status.name,
                states=result.states,
                stop=None if result.stop is None else result.stop.reason,
                elapsed_s=self._clock.monotonic() - began_s,
                ledger=result.ledger,
                results=None,
                dropped_count=result.dropped_count,
            )
        )
        return result


class UploaderOptions(SettingOptions, total=False):
    """The arguments of `Uploader`, for `from_env` and `upload`."""

    api_key: str | Callable[[], str]
    base_url: str | None
    profile: Profile
    team: str | None
    settings: RunSettings | None
    stall_s: float
    answer_s: float
    min_bytes_per_s: float
    allow_plain_http: bool
    network: Network
    purposes: Mapping[str, Purpose] | None
    on_event: Callable[[Event], None] | None
    tracer: Tracer | None
    meter: Meter | None
    clock: Clock | None
    processes: int
    fleet: Fleet | None


def _fleet_settings(fleet: Fleet | None, processes: int) -> FleetSettings | None:
    if fleet is None:
        return None if processes == 1 else FleetSettings(processes=processes)
    settings = fleet.settings()
    return settings if processes == 1 else replace(settings, processes=processes)


def _learnt(redaction: Redaction, api_key: Any) -> Any:  # noqa: ANN401 - may be no key
    """Return the key, or how to read it, with the redaction learning it; what is no key is refused later, in words."""
    if not callable(api_key):
        return redaction.learn(api_key) if isinstance(api_key, str) else api_key
    source = api_key

    def read() -> Any:  # noqa: ANN401
        key = source()
        return redaction.learn(key) if isinstance(key, str) else key

    return read


def planned_by(
    planner: JobPlanner,
    source: Source,
    *,
    on_entry: Callable[[PlannedEntry], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Plan:
    """Return the plan of what a source finds. Blocks."""
    given = source(planner, lambda _: None)
    try:
        return planner.plan(given.job, listing=given.listing, on_entry=on_entry, on_progress=on_progress)
    finally:
        given.close()


def both(first: Callable[[Event], None], second: Callable[[Event], None]) -> Callable[[Event], None]:
    """Return a listener that calls two others."""

    def call(event: Event) -> None:
        first(event)
        second(event)

    return call
