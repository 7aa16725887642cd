"""`bulk-upload files`: the files on the server, whoever sent them."""

from __future__ import annotations

import functools
import json
import sys
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bulk_upload.cli.commands.ledgers.files_removal import remove
from bulk_upload.cli.config.file import current_configuration, profile_named
from bulk_upload.cli.options.api_key import api_key_of
from bulk_upload.cli.options.job import JOB_CONTEXT, destination_options
from bulk_upload.cli.options.ledger_name import LEDGER
from bulk_upload.cli.options.sections import JOB_SECTIONS, SERVER_SECTIONS, ServerCommand
from bulk_upload.cli.options.server import connection_of, network_of
from bulk_upload.cli.options.suggestions import SuggestingGroup
from bulk_upload.cli.options.units import WORD
from bulk_upload.cli.output.file_lines import json_line, removed_json, removed_text, text_line
from bulk_upload.cli.output.streams import put, tell, writing_stdout
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.api.profile import Profile
    from bulk_upload.job_files import ServerFiles

_STANDARD_OUTPUT = "-"

_DESTINATION = ("base_url", "profile", "team")


class _FilesCommand(ServerCommand):
    """A command that needs no manifest, only a server."""

    sections = {"Destination": JOB_SECTIONS["Destination"], **SERVER_SECTIONS}  # noqa: RUF012 - as its base


def _file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which server, and in which form data is printed."""
    options = (
        click.option(
            "--ledger",
            type=LEDGER,
            metavar="LEDGER",
            help="Use the server of this ledger, or of that of this manifest or folder.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print JSON Lines."),
        click.option(
            "--format",
            "form",
            type=click.Choice(["text", "json"]),
            default="text",
            show_default=True,
            help="json: the same as --json.",
        ),
    )
    return functools.reduce(
        lambda wrapped, option: option(wrapped), reversed(options), destination_options(command)
    )


@click.group("files", cls=SuggestingGroup)
def files() -> None:
    """List, fetch or delete files on the server, whoever sent them.

    The files of a job and their paths: `bulk-upload ledger show`. Delete all of a job: `bulk-upload undo`.

    \b
    Examples:
      bulk-upload files ls --limit 20
      bulk-upload files get file-1f -o chat.jsonl
      bulk-upload files rm file-1f
    """


@files.command("ls", cls=_FilesCommand, context_settings=JOB_CONTEXT, short_help="List files, newest first.")
@click.option("--purpose", "only_purpose", type=WORD, metavar="P", help="Only files with this purpose.")
@click.option("--name", type=WORD, metavar="PATTERN", help="Only files with such a name, such as '*.jsonl'.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Stop after this many files.")
@_file_options
def ls(
    *, only_purpose: str | None, name: str | None, limit: int | None, as_json: bool, form: str, **options: Any
) -> int:
    """List the files on the server, newest first: id, size, purpose, creation time and name.

    Each page is printed as it comes, whatever the number of files. With --json the fields are file_id, filename,
    bytes, purpose and created_at; null is what the server does not show.

    \b
    Examples:
      bulk-upload files ls --limit 20
      bulk-upload files ls --purpose fine-tune --name 'chat-*' --json | jq -r .file_id
    """
    import anyio  # noqa: PLC0415 - help must not wait for an HTTP library

    from bulk_upload.engine.files.listed import listed  # noqa: PLC0415

    server, connection = _server_of(options)
    if not connection.profile.can_list:
        raise UsageError(
            f"the profile {connection.profile.name} says that the server has no list (can-list = false)",
            hint="`bulk-upload ledger show` lists the files of a job",
        )
    line = json_line if as_json or form == "json" else text_line

    async def work() -> int:
        count = 0
        async with server.inquiring() as inquiry:
            async for one in listed(inquiry, connection.profile, purpose=only_purpose, name=name):
                put(line(one))
                count += 1
                if count == limit:
                    break
        return count

    if not anyio.run(work) and line is text_line:
        tell("The server has no such files." if only_purpose or name else "The server has no files.")
    return ExitStatus.DONE


@files.command("get", cls=_FilesCommand, context_settings=JOB_CONTEXT, short_help="Fetch a file's content.")
@click.argument("file_id", metavar="ID")
@click.option(
    "-o",
    "--output",
    type=WORD,
    metavar="FILE|-",
    help="Output file; - is standard output (default: the file's name, in the current folder).",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@_file_options
def get(file_id: str, *, output: str | None, force: bool, as_json: bool, form: str, **options: Any) -> int:
    """Fetch the content of the file ID of the server.

    The size must be what the server lists, with --ledger also the hash what the receipt has; otherwise no file is left.
    An existing file is never replaced without --force. With --json a line with file_id, path, bytes and sha256 is
    printed, unless the content goes to standard output.

    \b
    Examples:
      bulk-upload files get file-1f
      bulk-upload files get file-1f -o chat.jsonl --force
      bulk-upload files get file-1f -o - | head -1
    """
    import anyio  # noqa: PLC0415

    from bulk_upload.core.manifest.sent_name import sent_name  # noqa: PLC0415
    from bulk_upload.edge.ledger import LedgerReader  # noqa: PLC0415
    from bulk_upload.engine.files.fetched import Fetched, fetch  # noqa: PLC0415

    server, connection = _server_of(options)
    _require_ids([file_id], connection.profile)
    if not connection.profile.can_read_back:
        raise UsageError(
            f"the profile {connection.profile.name} says that the server returns no content (can-read-back = false)",
            hint="only the sender has the content of these files",
        )
    content_hash = None
    if options["ledger"] is not None:
        with LedgerReader(options["ledger"]) as reader:
            content_hash = reader.receipt_hash_of(file_id)

    async def work() -> tuple[str, Fetched]:
        async with server.inquiring() as inquiry:
            file = await inquiry.look_up(file_id)
            if file is None:
                raise _no_such_file(file_id)
            # A name without slashes: it is the server's, and must not lead out of the folder.
            path = output or sent_name(file_id if file.filename is None else file.filename)
            with _written_to(path, force=force) as stream:
                restart = None if path == _STANDARD_OUTPUT else partial(_start_over, stream)
                fetched = await fetch(inquiry, file, stream.write, restart=restart, content_hash=content_hash)
            return path, fetched

    path, fetched = anyio.run(work)
    if path == _STANDARD_OUTPUT:
        return ExitStatus.DONE
    if as_json or form == "json":
        fields = {"file_id": file_id, "path": path, "bytes": fetched.file_bytes, "sha256": fetched.sha256}
        put(json.dumps(fields) + "\n")
    note = "" if fetched.is_checked else "; the server does not say whether that is all"
    tell(f"{human_bytes(fetched.file_bytes)} written to {printable(path)}{note}")
    return ExitStatus.DONE


@files.command("rm", cls=_FilesCommand, context_settings=JOB_CONTEXT, short_help="Delete files; asks first.")
@click.argument("file_ids", metavar="ID...", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--dry-run", is_flag=True, help="Show what would be deleted, and delete nothing.")
@_file_options
def rm(
    file_ids: tuple[str, ...], *, yes: bool, dry_run: bool, as_json: bool, form: str, **options: Any
) -> int:
    """Delete the files ID... from the server, whoever sent them; asks first.

    Each file is looked up and shown before the question. With --ledger the deletions are recorded there, and entries
    whose files are deleted become pending, as after `undo`. Without it a ledger learns of them by `verify` only.

    With --json a line with file_id, outcome and reason is printed for each file. The exit code is 3 if the server
    refused to delete some, 5 if answers are missing (run it again), otherwise 0; a file that is gone counts as deleted.

    \b
    Examples:
      bulk-upload files rm file-1f file-2e
      bulk-upload files ls --name 'test-*' --json | jq -r .file_id | xargs bulk-upload files rm --yes
    """
    import anyio  # noqa: PLC0415

    wanted = list(dict.fromkeys(file_ids))
    server, connection = _server_of(options)
    _require_ids(wanted, connection.profile)
    line = removed_json if as_json or form == "json" else removed_text
    work = partial(remove, server, wanted, ledger=options["ledger"], yes=yes, dry_run=dry_run, line=line)
    tell(f"server: {printable(connection.endpoint)}")
    return anyio.run(work)


def _server_of(options: dict[str, Any]) -> tuple[ServerFiles, Connection]:
    """Return the server that a ledger is for, or that the other options name."""
    from bulk_upload.job_files import ServerFiles  # noqa: PLC0415

    ledger = options["ledger"]
    if ledger is None:
        connection = connection_of(options, profile_named(options["profile"]))
    else:
        _require_no_destination()
        connection = _connection_of_ledger(ledger, options)
    return ServerFiles(connection, api_key=api_key_of(options, connection.profile)), connection


def _connection_of_ledger(ledger: str, options: dict[str, Any]) -> Connection:
    from bulk_upload.core.api.connection import Connection  # noqa: PLC0415
    from bulk_upload.core.api.endpoint import endpoint_of  # noqa: PLC0415
    from bulk_upload.job_ledger import facts_of, profile_of_job  # noqa: PLC0415

    facts = facts_of(ledger)
    profile = profile_of_job(facts, current_configuration().profiles)
    endpoint_of(facts.endpoint, allow_plain_http=options["allow_plain_http"])
    return Connection(
        endpoint=facts.endpoint,
        profile=profile,
        team=facts.team,
        network=network_of(options, facts.endpoint),
        stall_s=options["stall"],
    )


def _require_no_destination() -> None:
    ctx = click.get_current_context()
    for name in _DESTINATION:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "--" + name.replace("_", "-")
            raise UsageError(
                f"the ledger says which server it is for; {option} says so, too", hint="give one"
            )


def _require_ids(file_ids: Sequence[str], profile: Profile) -> None:
    from bulk_upload.core.api.responses import is_file_id  # noqa: PLC0415

    for one in file_ids:
        if not is_file_id(one, profile.id_prefix):
            raise UsageError(
                f"{printable(one)!r} cannot be the id of a file", hint="`bulk-upload files ls` shows the ids"
            )


def _no_such_file(file_id: str) -> UsageError:
    return UsageError(f"the server has no file {file_id}", hint="`bulk-upload files ls` shows what it has")


@contextmanager
def _written_to(path: str, *, force: bool) -> Iterator[IO[bytes]]:
    """Yield a stream into a file that gets its name when the block ends well, or into standard output."""
    from bulk_upload.edge.output import created, replaced  # noqa: PLC0415

    if path == _STANDARD_OUTPUT:
        with writing_stdout():
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    try:
        if force:
            with replaced(path) as stream:
                yield stream
        else:
            with created(path) as temporary, open(temporary, "r+b") as stream:
                yield stream
    except FileExistsError:
        raise UsageError(f"{printable(path)} exists", hint="--force replaces it; -o names another") from None
    except OSError as error:
        raise UsageError(
            f"cannot write {printable(path)}: {error.strerror}", hint="choose another file with -o"
        ) from None


def _start_over(stream: IO[bytes]) -> None:
    if stream.seekable():
        stream.seek(0)
        stream.truncate()
