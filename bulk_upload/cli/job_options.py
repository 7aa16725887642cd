"""The options that say which job is meant: shared by `run` and `plan`."""

from __future__ import annotations

import functools
import os
import stat
from typing import TYPE_CHECKING, Any

import click

from bulk_upload.core.display import printable
from bulk_upload.core.model import EntryState
from bulk_upload.core.profile import PROFILES
from bulk_upload.errors import UsageError
from bulk_upload.uploader import Job

if TYPE_CHECKING:
    from collections.abc import Callable

_OPTIONS = (
    click.option(
        "--base-url", envvar="SEEKR_BASE_URL", metavar="URL", help="The server (default: the profile's own)."
    ),
    click.option("--team", envvar="SEEKR_TEAM_ID", metavar="ID", help="Upload for this team."),
    click.option(
        "--profile",
        type=click.Choice(sorted(PROFILES)),
        default="flow",
        show_default=True,
        help="The kind of API.",
    ),
    click.option(
        "--api-key-file",
        metavar="FILE",
        help="Read the API key from a file only you can read (default: $SEEKR_API_KEY).",
    ),
    click.option(
        "--allow-plain-http",
        is_flag=True,
        help="Send the key unencrypted to a server that is not this machine.",
    ),
    click.option("--ledger", metavar="FILE", help="The ledger (default: beside the manifest)."),
    click.option(
        "--root", metavar="DIR", help="Folder that relative paths start from (default: the manifest's)."
    ),
    click.option("--purpose", metavar="P", help="Purpose of entries that name none."),
    click.option("--follow-symlinks", is_flag=True, help="Let symbolic links lead out of the root."),
    click.option(
        "--allow-outside-root", "allow_outside", is_flag=True, help="Let paths name files outside the root."
    ),
    click.option("--force", is_flag=True, help="Send entries whose purpose is unknown."),
    click.option("--moved-root", is_flag=True, help="The same tree has moved to another root."),
    click.option(
        "--retry",
        metavar="WHAT",
        default="",
        help="Settled entries to try again: any of rejected,failed,invalid.",
    ),
)


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_OPTIONS), command)


def job_of(manifest: str, options: dict[str, Any]) -> Job:
    """Return the job that a command's options mean."""
    names = ("ledger", "root", "purpose", "follow_symlinks", "allow_outside", "force", "moved_root")
    return Job(manifest=manifest, **{name: options[name] for name in names})


def api_key_of(options: dict[str, Any]) -> str:
    """Return the API key from --api-key-file, else from SEEKR_API_KEY. Raises UsageError when there is none."""
    path = options["api_key_file"]
    if path is not None:
        return _key_in_file(path)
    key = os.environ.get("SEEKR_API_KEY", "")
    if not key.strip():
        raise UsageError(
            "there is no API key",
            hint="set SEEKR_API_KEY, or pass --api-key-file FILE; never put a key on the command line",
        )
    return key


def _key_in_file(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if stat.S_IMODE(status.st_mode) & 0o077:
                raise UsageError(
                    f"others can read the API key in {printable(path)}",
                    hint=f"chmod 600 {printable(path)}",
                )
            return file.read(10_000)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(
            f"cannot read the API key in {printable(path)}: {reason}",
            hint="check the name given to --api-key-file",
        ) from None


_RETRY_WORDS = {
    "rejected": EntryState.REJECTED,
    "failed": EntryState.FAILED_LOCAL,
    "invalid": EntryState.INVALID,
}


def retry_of(text: str) -> frozenset[EntryState]:
    """Return the settled states in a `--retry` value. Raises UsageError for an unknown word."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in _RETRY_WORDS:
            raise UsageError(
                f"--retry does not know {printable(word)!r}", hint="use any of rejected,failed,invalid"
            )
    return frozenset(_RETRY_WORDS[word] for word in words)
