"""`bulk-upload agent`: reads and sends for a run that another process or machine decides about."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from bulk_upload.cli.config.file import current_configuration
from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.sections import ServerCommand
from bulk_upload.cli.options.units import DURATION, WORD
from bulk_upload.cli.output.streams import tell
from bulk_upload.core.text.printable import printable

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping

    from bulk_upload.agent_runner import AgentRunner
    from bulk_upload.core.api.secret import Secret
    from bulk_upload.engine.fleet.agent import AgentEnd


class AgentCommand(ServerCommand):
    """Of bulk-upload.toml only the tables of stores are for agents."""

    sections: Mapping[str, tuple[str, ...]] = {}


@click.command("agent", cls=AgentCommand)
@click.argument("url", metavar="URL")
@click.option(
    "--token-file",
    type=WORD,
    required=True,
    metavar="FILE",
    shell_complete=file_names,
    help="The file with the run's token, as given to `run --listen`.",
)
@click.option(
    "--root",
    type=WORD,
    metavar="DIR",
    help="The folder with the files on this machine (default: where the run has them).",
)
@click.option(
    "--api-key-file",
    type=WORD,
    metavar="FILE",
    shell_complete=file_names,
    help="Use the API key in FILE (default: the run's, which it gives to agents over TLS or on its own machine only).",
)
@click.option(
    "--ca-file",
    type=WORD,
    metavar="FILE",
    shell_complete=file_names,
    help="Trust the certificate authorities in FILE (PEM) for the run's certificate.",
)
@click.option(
    "--patience",
    type=DURATION,
    default="15m",
    show_default=True,
    help="End after the run was out of reach for this long.",
)
@click.option("--quiet", is_flag=True, help="Print nothing unless something goes wrong.")
def agent(
    url: str,
    *,
    token_file: str,
    root: str | None,
    api_key_file: str | None,
    ca_file: str | None,
    patience: float,
    quiet: bool,
) -> int:
    """Read and send files for the run at URL, which `run --listen` prints. Ends with the run.

    The run decides what is sent and when, and keeps the ledger; an agent keeps nothing, so it may be started and stopped
    at any time, on any machine that has the same files. SIGTERM or Ctrl-C lets uploads in flight finish, a second
    one aborts them. Objects of a store are read with credentials from the environment or bulk-upload.toml here, or with
    the run's, which it gives like its API key. The exit code is 0 when the run is over, 2 when it does not want this agent, 5 when the run is
    out of reach.

    \b
    Examples:
      bulk-upload agent ws://head:8790/agent --token-file ~/run.token
      bulk-upload agent wss://head:8790/agent --token-file run.token --ca-file ca.pem --root /mnt/data
    """
    import anyio  # noqa: PLC0415 - help must not wait for an HTTP library

    from bulk_upload.agent_runner import AgentRunner  # noqa: PLC0415
    from bulk_upload.cli.fleet.token_file import token_in  # noqa: PLC0415
    from bulk_upload.cli.options.key_file import bytes_in  # noqa: PLC0415
    from bulk_upload.core.api.secret import usable_key  # noqa: PLC0415
    from bulk_upload.edge.descriptors import raise_descriptor_limit  # noqa: PLC0415
    from bulk_upload.edge.memory import share_one_arena  # noqa: PLC0415

    token = token_in(token_file)

    def read_key(path: str) -> Secret:
        return usable_key(bytes_in(path).decode("utf-8", "replace"))

    key = None if api_key_file is None else read_key(api_key_file)
    raise_descriptor_limit()
    share_one_arena()

    sources = current_configuration().own_source_options()

    def runner() -> AgentRunner:
        return AgentRunner(
            url,
            token,
            root=root,
            api_key=key,
            read_key_again=None if api_key_file is None else partial(read_key, api_key_file),
            patience_s=patience,
            ca_file=ca_file,
            sources=sources,
        )

    end = anyio.run(partial(_serve, runner))
    if end.status or not quiet:
        tell(f"bulk-upload: {printable(end.reason)}")
    return end.status


async def _serve(make: Callable[[], AgentRunner]) -> AgentEnd:
    from bulk_upload.edge.signals import staged_signals, status_after  # noqa: PLC0415 - with the HTTP library

    runner = make()

    def leave(number: signal.Signals) -> None:
        runner.leave(f"{number.name} on its machine")

    with staged_signals((leave, leave), leave=status_after):
        return await runner.run()
