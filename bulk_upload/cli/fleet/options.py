"""The options about agents: how many on this machine, and where others join."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.units import POSITIVE_DURATION, WORD
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.fleet.process_count import ProcessCount
    from bulk_upload.core.fleet.settings import FleetSettings
    from bulk_upload.core.run.settings import RunSettings

AUTO = "auto"
PROCESSES_MOST = 64


class _Processes(click.ParamType[int | str]):
    """A number of processes, or `auto`."""

    name = "processes"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value == AUTO:
            return AUTO
        if not (str(value).isdecimal() and 1 <= int(value) <= PROCESSES_MOST):
            words = f"{printable(str(value))} is neither {AUTO} nor a number from 1 to {PROCESSES_MOST}"
            self.fail(words, param, ctx)
        return int(value)


def processes_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--processes`."""
    return click.option(
        "--processes",
        type=_Processes(),
        metavar="N|auto",
        default="1",
        show_default=True,
        help="Processes on this machine that read and send, the command itself among them; auto: as many as pay for what there is to send.",
    )(command)


def listen_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options about agents on other machines."""
    for option in reversed(_LISTEN):
        command = option(command)
    return command


_LISTEN = (
    click.option(
        "--dask",
        type=WORD,
        metavar="ADDRESS|FILE",
        help="Have an agent on each worker of the Dask cluster with this scheduler (address or scheduler file).",
    ),
    click.option(
        "--listen",
        type=WORD,
        metavar="HOST:PORT",
        help="Let `bulk-upload agent` join from other machines at this address (port 0: any free one).",
    ),
    click.option(
        "--token-file",
        type=WORD,
        metavar="FILE",
        shell_complete=file_names,
        help="The token that agents must have; FILE is written if it is not there.",
    ),
    click.option(
        "--agent-root",
        type=WORD,
        metavar="DIR",
        help="The folder with the files on the agents' machines, if another.",
    ),
    click.option(
        "--agent-certificate",
        type=WORD,
        metavar="FILE",
        shell_complete=file_names,
        help="Certificate and key (PEM) for --listen: agents then get the API key from the run.",
    ),
    click.option(
        "--agent-ttl",
        type=POSITIVE_DURATION,
        default="20s",
        show_default=True,
        help="How long an agent may be out of reach before what it was sending is in doubt.",
    ),
)


def fleet_of(options: dict[str, Any], settings: RunSettings) -> FleetSettings | None:
    """Return where the agents of a run come from; None where it certainly has none. Raises UsageError."""
    processes, listen = options["processes"], options["listen"]
    if options["dask"] is not None:
        return _dask_fleet(options, settings)
    if listen is None:
        for name in ("token_file", "agent_root", "agent_certificate"):
            if options[name] is not None:
                flag = "--" + name.replace("_", "-")
                raise UsageError(f"{flag} is of no use without --listen", hint="add --listen HOST:PORT")
        if processes == 1:
            return None
    elif options["token_file"] is None:
        raise UsageError(
            "--listen needs --token-file",
            hint="name a file that only you can read; it is written if it is not there, and agents need it, too",
        )
    return _fleet(options, settings, processes, listen)


def _fleet(
    options: dict[str, Any], settings: RunSettings, processes: int | str, listen: str | None
) -> FleetSettings:
    from bulk_upload.cli.fleet.token_file import token_made  # noqa: PLC0415 - help must not wait for it
    from bulk_upload.cli.output.streams import tell  # noqa: PLC0415
    from bulk_upload.core.fleet.settings import FleetSettings  # noqa: PLC0415
    from bulk_upload.edge.fleet.access import new_token  # noqa: PLC0415

    def decide(send_bytes: int) -> int:
        # Elsewhere there are agents enough: this machine then only adds some where they were asked for.
        count = process_count_here(settings, send_bytes).count
        return 0 if count == 1 else count

    token_file = options["token_file"]
    return FleetSettings(
        processes=0 if processes in (AUTO, 1) else int(processes),
        processes_for=decide if processes == AUTO else None,
        listen=None if listen is None else _address(listen),
        token=None if token_file is None else token_made(token_file, new_token()),
        certificate=options["agent_certificate"],
        agent_root=options["agent_root"],
        ttl_s=options["agent_ttl"],
        on_listening=lambda url: tell(
            f"Agents may join: bulk-upload agent {url} --token-file {printable(str(token_file))}"
        ),
    )


def _dask_fleet(options: dict[str, Any], settings: RunSettings) -> FleetSettings:
    """Return agents on a Dask cluster, besides those of the other options. Raises UsageError."""
    from msgspec.structs import replace  # noqa: PLC0415

    from bulk_upload.dask import DaskFleet  # noqa: PLC0415 - needs an extra

    listen = options["listen"]
    host, port = (None, 0) if listen is None else _address(listen)
    on_dask = DaskFleet(options["dask"], host=host, port=port).settings()
    others = _fleet(options, settings, options["processes"], listen)
    return replace(
        others,
        listen=on_dask.listen,
        tls=on_dask.tls if others.certificate is None else None,
        recruit=on_dask.recruit,
        # Who joins by hand needs the token; Dask's workers need nothing.
        on_listening=None if options["token_file"] is None else others.on_listening,
    )


def processes_line(processes: int | str, send_bytes: int) -> str:
    """Return how many processes would send, why, and what memory they take."""
    from bulk_upload.core.fleet.process_count import PROCESS_BYTES  # noqa: PLC0415
    from bulk_upload.core.run.settings import RunSettings  # noqa: PLC0415

    if processes != AUTO:
        count, why = int(processes), f"--processes {processes}"
        memory_bytes = PROCESS_BYTES * count
    else:
        found = process_count_here(RunSettings(), send_bytes)
        count, why, memory_bytes = found.count, found.reason, found.memory_bytes
    noun = "process" if count == 1 else "processes"
    return f"Sending: {count} {noun} ({why}), about {human_bytes(memory_bytes)} of memory in all"


def _address(text: str) -> tuple[str, int]:
    """Return the host and port of `HOST:PORT` or `[IPV6]:PORT`. Raises UsageError."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(
            f"{printable(text)} is no address to listen at",
            hint="write HOST:PORT or [IPV6]:PORT, such as 0.0.0.0:8790; port 0 is any free one",
        )
    return host, int(port)


def process_count_here(settings: RunSettings, send_bytes: int) -> ProcessCount:
    """Return how many processes `--processes auto` uses here, and why."""
    from bulk_upload.core.fleet.process_count import process_count  # noqa: PLC0415
    from bulk_upload.edge.machine import usable_machine  # noqa: PLC0415

    caps = [one for one in (settings.concurrency, settings.concurrency_max) if one is not None]
    bandwidth = None if settings.bandwidth is None else settings.bandwidth.most_bytes_per_s
    return process_count(
        usable_machine(),
        send_bytes=send_bytes,
        in_flight_max=min(caps, default=None),
        bandwidth_max=bandwidth,
    )
