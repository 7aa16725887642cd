"""The options that say which job is meant: shared by `run` and `plan`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

from bulk_upload.cli.server_options import server_options
from bulk_upload.cli.units import WORD
from bulk_upload.core.display import printable
from bulk_upload.core.model import EntryState
from bulk_upload.core.plan import RETRY_WORDS
from bulk_upload.core.profile import FLOW, PROFILES
from bulk_upload.errors import UsageError
from bulk_upload.uploader import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

JOB_CONTEXT = {"auto_envvar_prefix": "BULK_UPLOAD"}
"""`run` and `plan` read the same variables, so that a plan is a plan of that run: BULK_UPLOAD_ROOT, not _RUN_ROOT."""

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
        "--name-template",
        type=WORD,
        metavar="T",
        help="Name at the server of entries without remote_name, of {name}, {stem}, {ext}, {folder} and {hash8}, "
        "such as '{folder}-{name}'.",
    ),
    click.option(
        "--retry",
        metavar="WHAT",
        default="",
        help="Settled entries to try again: any of rejected,failed,invalid.",
    ),
)


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, those of its server included."""
    command = server_options(command)
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_OPTIONS), command)


def job_of(manifest: str, options: dict[str, Any]) -> Job:
    """Return the job that a command's options mean."""
    names = (
        "ledger",
        "root",
        "purpose",
        "follow_symlinks",
        "allow_outside",
        "force",
        "moved_root",
        "name_template",
    )
    return Job(manifest=manifest, **{name: options[name] for name in names})


_RETRY_WORDS = {
    **{word: state for state, word in RETRY_WORDS.items()},
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


def without_retry(arguments: Sequence[str]) -> list[str]:
    """Return a command line without its `--retry`: what a run proposes next names what it means to try again."""
    kept: list[str] = []
    rest = iter(arguments)
    for one in rest:
        if one == "--retry":
            next(rest, None)
        elif not one.startswith("--retry="):
            kept.append(one)
    return kept
