"""Command lines that lead on from another one, with the options that both have."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from bulk_upload.cli.options.profile_variables import ProfileVariableOption
from bulk_upload.core.api.redaction import without_logins
from bulk_upload.core.folder.left_out import pattern_of
from bulk_upload.core.shapes.command import ConvertCommand
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.shell_words import path_word, shell_word
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.edge.manifest_file import comes_by_stream
from bulk_upload.errors import LedgerUnusable
from bulk_upload.report.live.verdict import DataCommands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bulk_upload.core.report.tally import Convertible

_DEFAULTS = (click.core.ParameterSource.DEFAULT, None)


def validate_command(paths: Sequence[str]) -> str | None:
    """Return the `validate` of what the current command runs; None for what cannot be read again."""
    from bulk_upload.cli.commands.data.validate import validate  # noqa: PLC0415 - a circle by way of the commands

    if any(map(comes_by_stream, paths)):
        return None
    words = ["bulk-upload", "validate", *map(path_word, paths)]
    words += map(shell_word, _shared_options(click.get_current_context(), validate))
    return printable(without_logins(" ".join(words)))


def _shared_options(ctx: click.Context, target: click.Command) -> Iterator[str]:
    """Yield the options of a command that another one has, too, and that somebody set."""
    for param in target.params:
        name = str(param.name)
        source = ctx.get_parameter_source(name)
        if not isinstance(param, click.Option) or source in _DEFAULTS:
            continue
        if isinstance(param, ProfileVariableOption) and source is click.core.ParameterSource.ENVIRONMENT:
            # The other command reads the same variable.
            continue
        option = max(param.opts, key=len)
        for value in _texts(ctx.params.get(name)):
            if value is True:
                yield option
            elif isinstance(value, str) and _takes(param, value):
                yield from (option, value)


def _texts(value: Any) -> Iterator[Any]:  # noqa: ANN401 - whatever an option may be
    if isinstance(value, tuple):
        for one in value:
            yield from _texts(one)
    else:
        yield value


def _takes(option: click.Option, value: str) -> bool:
    """Whether an option takes a value: profiles of a settings file are not known to every command."""
    return not isinstance(option.type, click.Choice) or value in option.type.choices


def data_commands(
    validate: Callable[[], str | None],
    convertible: Convertible | None,
    *,
    ledger: str,
    schema_file: str | None,
    is_folder: bool,
) -> DataCommands:
    """Return the commands for the invalid data of a run. `convertible` is the one file that a conversion puts right."""
    if convertible is None:
        return DataCommands(validate=validate())
    try:
        with LedgerReader(ledger) as reader:
            job = reader.job()
    except LedgerUnusable:
        job = None
    if job is None:
        return DataCommands(validate=validate())
    full = os.path.join(job.root, convertible.path)
    beneath = os.path.relpath(full)
    command = ConvertCommand(
        file=full if beneath.startswith("../") else beneath,
        purpose=None if "--purpose" in convertible.options else convertible.purpose,
        schema_file=schema_file,
    )
    leaves_out = f"--exclude {shell_word(pattern_of('/', convertible.path).excluded)}" if is_folder else ""
    return DataCommands(
        validate=validate(), convert=printable(command.line(convertible.options)), leaves_out=leaves_out
    )
