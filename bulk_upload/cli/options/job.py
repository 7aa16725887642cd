"""The options that select a job: shared by `run` and `plan`."""

from __future__ import annotations

import functools
import shlex
from typing import TYPE_CHECKING, Any

import click

from bulk_upload.cli.config.file import current_configuration
from bulk_upload.cli.folder.options import MAP, selection_options
from bulk_upload.cli.options.completion import profile_names
from bulk_upload.cli.options.profile_variables import ProfileVariableOption
from bulk_upload.cli.options.schema import rules_options, schema_option
from bulk_upload.cli.options.server import server_options
from bulk_upload.cli.options.units import WORD
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.api.redaction import shown_notify, shown_proxy, without_logins
from bulk_upload.core.bundle.grouping import FILES_MAX, FILES_MIN
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.job import Job
from bulk_upload.core.run.plan import MISSING_WORD, RENAMED_WORD, RETRY_WORDS
from bulk_upload.core.run.settings import ValidateMode
from bulk_upload.core.text.printable import printable
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


JOB_CONTEXT = {"auto_envvar_prefix": "BULK_UPLOAD"}
"""`run` and `plan` read the same variables, so that a plan is a plan of that run: BULK_UPLOAD_ROOT, not _RUN_ROOT."""

profile_option = click.option(
    "--profile",
    type=WORD,
    is_eager=True,
    metavar="NAME",
    shell_complete=profile_names,
    default=FLOW.name,
    show_default=True,
    help="API profile; bulk-upload.toml can define others.",
)
_DESTINATION_OPTIONS = (
    click.option(
        "--base-url",
        cls=ProfileVariableOption,
        variable="base_url_variable",
        type=WORD,
        metavar="URL",
        help=f"Server address (default: the profile's variable, for {FLOW.name} ${FLOW.base_url_variable}; "
        f"otherwise the profile's address, for {FLOW.name} {FLOW.base_url}).",
    ),
    click.option(
        "--team",
        cls=ProfileVariableOption,
        variable="team_variable",
        type=WORD,
        metavar="ID",
        help="Upload for this team (default: the profile's variable, for "
        f"{FLOW.name} ${FLOW.team_variable}).",
    ),
    profile_option,
)
_ENDPOINT_OPTIONS = (
    *_DESTINATION_OPTIONS,
    click.option(
        "--ledger", type=WORD, metavar="FILE", help="Ledger file (default: beside the manifest or folder)."
    ),
    click.option(
        "--ledger-dir",
        type=WORD,
        metavar="DIR",
        help="Keep the ledger in DIR, such as on a local disk.",
    ),
)
_OUTSIDE_OPTIONS = (
    click.option("--follow-symlinks", is_flag=True, help="Allow symbolic links to leave the root."),
    click.option("--allow-outside-root", "allow_outside", is_flag=True, help="Allow paths outside the root."),
)
_MANIFEST_OPTIONS = (
    *_ENDPOINT_OPTIONS,
    click.option(
        "--root",
        type=WORD,
        metavar="DIR",
        help="Base folder of relative paths (default: the manifest's folder).",
    ),
    click.option(
        "--purpose",
        type=WORD,
        metavar="P",
        help="Purpose of entries that name none, and of files of a folder that no --map pattern matches.",
    ),
    *_OUTSIDE_OPTIONS,
    click.option(
        "--force", is_flag=True, help="Also send entries with an unknown purpose, and invalid files."
    ),
    click.option(
        "--ignore-ctime",
        is_flag=True,
        help="Do not hash files of which only the change time differs, as after cp -al or chmod.",
    ),
    click.option("--moved-root", is_flag=True, help="Accept a new root: the same tree has moved there."),
    click.option(
        "--strict-paths",
        is_flag=True,
        help="Refuse the whole manifest for any missing, unreadable or refused file.",
    ),
    click.option(
        "--files-removed",
        is_flag=True,
        help="Accept a folder that has lost most of its files since the last run: they were removed on purpose.",
    ),
    click.option(
        "--name-template",
        type=WORD,
        metavar="T",
        help="Name on the server for entries without remote_name, from {name}, {stem}, {ext}, {folder}, {hash8}, "
        "such as '{folder}-{name}'.",
    ),
)
_OPTIONS = (
    *_MANIFEST_OPTIONS,
    click.option(
        "--retry",
        metavar="WHAT",
        default="",
        help="Retry settled entries: any of rejected,failed,invalid,withdrawn; renamed: accepted ones that the manifest "
        "asks for under another name; missing: accepted ones whose files `verify` found gone.",
    ),
)


BUNDLE = click.option(
    "--bundle",
    type=click.IntRange(FILES_MIN, FILES_MAX),
    metavar="N",
    help=f"Send up to N small files ({FILES_MIN} to {FILES_MAX}) in one request, where the API has a call for it; "
    "a lost answer then leaves all of them to be looked up (default: each by itself).",
)

_VALIDATION = (
    click.option(
        "--validate",
        type=click.Choice([one.value for one in ValidateMode]),
        default="ahead",
        show_default=True,
        help="Validate files before upload: ahead of the uploads, each just before its own, or not at all.",
    ),
    rules_options,
)


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, those of its server included."""
    return _with((*_OPTIONS, BUNDLE, MAP, selection_options, *_VALIDATION), server_options(command))


def manifest_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add those that say what a manifest means and which server and ledger its job has."""
    return _with((*_MANIFEST_OPTIONS, MAP, selection_options, schema_option), server_options(command))


def tree_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add only those that say where the files of a manifest are."""
    root = click.option(
        "--root",
        type=WORD,
        metavar="DIR",
        help="Base folder of a manifest's relative paths (default: its own folder).",
    )
    return _with((root, *_OUTSIDE_OPTIONS), command)


def destination_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add only those that say which server, and how it is reached."""
    return _with(_DESTINATION_OPTIONS, server_options(command))


def endpoint_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add only those that say which server and which ledger a job has, and how the server is reached."""
    return _with(_ENDPOINT_OPTIONS, server_options(command))


def _with(options: Iterable[Callable[..., Any]], command: Callable[..., Any]) -> Callable[..., Any]:
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(tuple(options)), command)


def job_of(manifest: str, options: dict[str, Any]) -> Job:
    """Return the job that a command's options select."""
    names = (
        "ledger",
        "ledger_dir",
        "root",
        "purpose",
        "follow_symlinks",
        "allow_outside",
        "force",
        "ignore_ctime",
        "moved_root",
        "name_template",
        "strict_paths",
        "files_removed",
    )
    return Job(
        manifest=manifest,
        sources=current_configuration().source_options(),
        plain_sources=options["allow_plain_http"],
        **{name: options[name] for name in names},
    )


_RETRY_WORDS = {
    **{word: state for state, word in RETRY_WORDS.items()},
    # Spelled as in `status` and in exports.
    "failed_local": EntryState.FAILED_LOCAL,
}
_ACCEPTED_WORDS = frozenset({RENAMED_WORD, MISSING_WORD})
"""Words for entries that are accepted, and so have no state of their own."""


def retry_of(text: str) -> frozenset[EntryState]:
    """Return the settled states in a `--retry` value. Raises UsageError for an unknown word."""
    words = _retry_words(text)
    for word in words:
        if word not in _RETRY_WORDS and word not in _ACCEPTED_WORDS:
            raise UsageError(
                f"unknown value for --retry: {printable(word)!r}",
                hint=f"use any of rejected,failed,invalid,withdrawn,{RENAMED_WORD},{MISSING_WORD}",
            )
    return frozenset(_RETRY_WORDS[word] for word in words if word not in _ACCEPTED_WORDS)


def retries_renamed(text: str) -> bool:
    """Whether a `--retry` value names the accepted entries that the manifest asks for under another name."""
    return RENAMED_WORD in _retry_words(text)


def retries_missing(text: str) -> bool:
    """Whether a `--retry` value names the accepted entries whose files `verify` found gone."""
    return MISSING_WORD in _retry_words(text)


def _retry_words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def shown_command(arguments: Sequence[str]) -> str:
    """Return a command line as it may be shown and, but for secrets in `--proxy` and `--notify`, typed again.

    It is without its `--retry`.
    """
    shown: list[str] = []
    for one in without_retry(arguments):
        name, given, value = one.partition("=")
        if shown[-1:] == ["--proxy"]:
            shown.append(shown_proxy(one))
        elif name == "--proxy" and given:
            shown.append(f"--proxy={shown_proxy(value)}")
        elif shown[-1:] == ["--notify"]:
            shown.append(shown_notify(one))
        elif name == "--notify" and given:
            shown.append(f"--notify={shown_notify(value)}")
        else:
            shown.append(without_logins(one))
    return shlex.join(["bulk-upload", *shown])


def without_retry(arguments: Sequence[str]) -> list[str]:
    """Return a command line without its `--retry`: the rerun command adds its own."""
    kept: list[str] = []
    rest = iter(arguments)
    for one in rest:
        if one == "--retry":
            next(rest, None)
        elif not one.startswith("--retry="):
            kept.append(one)
    return kept
