"""The options that say which job is meant: shared by `run` and `plan`."""

from __future__ import annotations

import functools
import os
import stat
from typing import TYPE_CHECKING, Any

import click

from bulk_upload.cli.units import WORD
from bulk_upload.core.display import printable
from bulk_upload.core.model import EntryState
from bulk_upload.core.profile import FLOW, PROFILES
from bulk_upload.errors import UsageError
from bulk_upload.uploader import Job

if TYPE_CHECKING:
    from collections.abc import Callable

JOB_CONTEXT = {"auto_envvar_prefix": "BULK_UPLOAD"}
"""`run` and `plan` read the same variables, so that a plan is a plan of that run: BULK_UPLOAD_ROOT, not _RUN_ROOT."""

KEY_VARIABLE = "SEEKR_API_KEY"

_OPTIONS = (
    click.option(
        "--base-url",
        type=WORD,
        envvar="SEEKR_BASE_URL",
        show_envvar=True,
        metavar="URL",
        help=f"The server (default: the profile's own; of flow it is {FLOW.base_url}).",
    ),
    click.option(
        "--team",
        type=WORD,
        envvar="SEEKR_TEAM_ID",
        show_envvar=True,
        metavar="ID",
        help="Upload for this team.",
    ),
    click.option(
        "--profile",
        type=click.Choice(sorted(PROFILES)),
        default="flow",
        show_default=True,
        help="The kind of API.",
    ),
    click.option(
        "--api-key-file",
        type=WORD,
        metavar="FILE",
        help=f"Read the API key from a file only you can read (default: ${KEY_VARIABLE}).",
    ),
    click.option(
        "--allow-plain-http",
        is_flag=True,
        help="Send the key unencrypted to a server that is not this machine.",
    ),
    click.option("--ledger", type=WORD, metavar="FILE", help="The ledger (default: beside the manifest)."),
    click.option(
        "--root",
        type=WORD,
        metavar="DIR",
        help="Folder that relative paths start from (default: the manifest's).",
    ),
    click.option("--purpose", type=WORD, metavar="P", help="Purpose of entries that name none."),
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
    """Return the API key from --api-key-file, else from SEEKR_API_KEY.

    Raises UsageError when there is none, or when what is there cannot be one; the key itself is never shown.
    """
    path = options["api_key_file"]
    if path is not None:
        return _checked_key(_text_in(path), f"in {printable(path)}")
    key = os.environ.get(KEY_VARIABLE, "")
    if not key.strip():
        raise UsageError(
            "there is no API key",
            hint=f"set {KEY_VARIABLE}, or pass --api-key-file FILE; never put a key on the command line",
        )
    return _checked_key(key, f"in {KEY_VARIABLE}")


def _checked_key(text: str, where: str) -> str:
    key = text.strip()
    what_and_hint = _what_is_wrong(key)
    if what_and_hint is None:
        return key
    what, hint = what_and_hint
    raise UsageError(f"the API key {where} {what}", hint=hint)


def _what_is_wrong(key: str) -> tuple[str, str] | None:
    if not key:
        return "is empty", "put the key there: one line and nothing else"
    if key.split(maxsplit=1)[0].rstrip(":").lower() == "bearer":
        return "begins with `Bearer`", "remove that word: the server wants the key alone"
    if key[0] in "'\"" or key[-1] in "'\"":
        return "is in quotes", "remove them: the key alone, as it was given to you"
    if len(key.splitlines()) > 1:
        return "has several lines", "leave only the line with the key"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "contains characters no key has", "copy it anew: one line without spaces"
    return None


def _text_in(path: str) -> str:
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
    # As `status` and every export spell it.
    "failed_local": EntryState.FAILED_LOCAL,
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
