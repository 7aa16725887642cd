"""`--notify` and `--bell`: the end of a run reaches people who do not look at its terminal."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
import msgspec

from bulk_upload.cli.output.streams import tell
from bulk_upload.core.api.endpoint import is_loopback
from bulk_upload.core.api.network import Network
from bulk_upload.core.text.printable import printable
from bulk_upload.errors import UsageError
from bulk_upload.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk_upload.exit_status import ExitStatus
    from bulk_upload.job_run import Result

_KEY_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent: how a run ended. `states` counts the entries of the manifest, `stop` says why it ended early.

    `error` is the reason of a command that ended before there was a run to report on; then there are no states.
    """

    text: str
    exit_code: int
    exit_name: str
    meaning: str
    done: bool
    manifest: str
    host: str
    version: str
    elapsed_s: float
    states: Mapping[str, int] = {}
    stop: str | None = None
    error: str | None = None
    ledger: str | None = None
    results: str | None = None


class Target(msgspec.Struct, frozen=True):
    """Where a message goes: the words of a command, or a URL. Neither is shown: both may contain secrets."""

    words: tuple[str, ...] = ()
    url: str | None = None

    @property
    def name(self) -> str:
        """The program or the host, for messages."""
        return self.words[0] if self.url is None else (urlsplit(self.url).hostname or "")


def target_of(value: str | None) -> Target | None:
    """Return what `--notify` names. Raises UsageError where it can be neither."""
    if value is None:
        return None
    if value.lower().startswith(("http://", "https://")):
        try:
            parts = urlsplit(value)
            usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            usable = False
        if not usable:
            raise UsageError("--notify is not a usable URL", hint="write it as https://host/path")
        return Target(url=value)
    try:
        words = tuple(shlex.split(value))
    except ValueError:
        words = ()
    if not words:
        raise UsageError("--notify is not a command", hint="write it as in a shell, and close quotes")
    if shutil.which(words[0]) is None:
        raise UsageError(
            f"--notify: there is no program {printable(words[0])}",
            hint="give its path; a shell's pipes and variables need: sh -c '...'",
        )
    return Target(words=words)


def ended_message(
    status: ExitStatus, *, manifest: str, elapsed_s: float, result: Result | None, results: str | None, error: str | None
) -> Message:  # fmt: skip
    """Return the message about the end of a run, or about the error that ended the command."""
    counts = {} if result is None else {state.value: count for state, count in result.states.items()}
    counted = ", ".join(f"{count:,} {state.replace('_', ' ')}" for state, count in counts.items() if count)
    return Message(
        text=f"bulk-upload run {printable(manifest)}: {error or counted or 'no entries'} (exit code {int(status)}: {status.meaning})",
        exit_code=int(status),
        exit_name=status.name,
        meaning=status.meaning,
        done=int(status) == 0,
        manifest=printable(manifest),
        host=socket.gethostname(),
        version=__version__,
        elapsed_s=round(elapsed_s, 3),
        states=counts,
        stop=None if result is None or result.stop is None else printable(result.stop.reason),
        error=None if error is None else printable(error),
        ledger=None if result is None else printable(os.path.abspath(result.ledger)),
        results=None if results is None else printable(os.path.abspath(results)),
    )


async def notify(
    target: Target, message: Message, *, clean: Callable[[str], str], network: Network
) -> None:  # fmt: skip
    """Deliver a message; if that fails, only a warning is printed. `clean` removes secrets from text.

    Of `network` only the authorities and the proxy count: the client certificate is the file server's business.
    """
    from bulk_upload.edge.notification import NotDelivered, hand_to_command, post  # noqa: PLC0415 - rarely asked for
    from bulk_upload.edge.transport.tls import tls_context  # noqa: PLC0415 - rarely asked for

    plain = {
        name: clean(value) if isinstance(value, str) else value
        for name, value in msgspec.structs.asdict(message).items()
    }
    data = msgspec.json.encode(plain) + b"\n"
    try:
        if target.url is not None:
            proxy = None if is_loopback(target.name) else network.proxy
            await post(target.url, data, tls=tls_context(Network(ca_file=network.ca_file)), proxy=proxy)
        else:
            await hand_to_command(target.words, data, environment_without_keys())
    except NotDelivered as error:
        tell(f"bulk-upload: --notify did not reach {printable(target.name)}: {error}")


def ring() -> None:
    """Ring the terminal's bell, if stderr is one."""
    if sys.stderr.isatty():
        click.echo("\a", nl=False, err=True)


def environment_without_keys() -> dict[str, str]:
    """Return the environment without what is named like a secret: the program gets a message, not the key."""
    return {
        name: value
        for name, value in os.environ.items()
        if not (name.startswith(("SEEKR_", "BULK_UPLOAD_")) and any(one in name for one in _KEY_NAMES))
    }
