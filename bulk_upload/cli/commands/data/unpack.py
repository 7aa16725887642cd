"""`bulk-upload unpack`: prove that packs hold what was packed, and write it as files again."""

from __future__ import annotations

import click

from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.private import private_option
from bulk_upload.cli.options.units import WORD
from bulk_upload.cli.output.json_output import json_option


@click.command("unpack")
@click.argument("folder", type=WORD, metavar="DIR", shell_complete=file_names)
@click.option(
    "-o",
    "--output",
    type=WORD,
    metavar="DIR",
    help="Folder for the files, by their paths in the manifest (default: only prove, write nothing).",
)
@private_option
@json_option("a JSON object per file that does not come back")
@click.option("--quiet", is_flag=True, help="Print no progress, and nothing where all is well.")
def unpack(folder: str, *, output: str | None, private: bool, as_json: bool, quiet: bool) -> int:
    """Prove that the packs in DIR hold every file as it was packed, byte for byte; with -o, write the files.

    DIR is the folder that `pack` wrote. Each file is compared with its SHA-256 in members.jsonl. A file that is
    there already is never replaced: it must be the same. The exit code is 3 if a file does not come back.

    \b
    Examples:
      bulk-upload unpack packed
      bulk-upload unpack packed -o restored
    """
    from bulk_upload.cli.unpack_files import UnpackRequest, unpack_and_report  # noqa: PLC0415 - help must not wait

    return unpack_and_report(
        UnpackRequest(folder=folder, output=output, private=private, as_json=as_json, quiet=quiet)
    )
