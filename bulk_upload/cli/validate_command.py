"""`bulk-upload validate`: find what is wrong with the data before an hour is spent on sending it."""

from __future__ import annotations

from typing import Any

import anyio
import click

from bulk_upload.cli.private_option import private_option
from bulk_upload.cli.schema_option import schema_option, schemas_of
from bulk_upload.cli.units import WORD
from bulk_upload.cli.validating import ValidateRequest, validate_and_report
from bulk_upload.core.profile import PROFILES


@click.command("validate")
@click.argument("paths", nargs=-1, required=True, metavar="MANIFEST|FILE...")
@click.option(
    "--purpose",
    type=WORD,
    metavar="P",
    help="Purpose of the data files, or of a manifest's entries that name none.",
)
@click.option(
    "--root",
    type=WORD,
    metavar="DIR",
    help="Folder that a manifest's relative paths start from (default: its own).",
)
@click.option("--follow-symlinks", is_flag=True, help="Let symbolic links lead out of the root.")
@click.option(
    "--allow-outside-root", "allow_outside", is_flag=True, help="Let paths name files outside the root."
)
@click.option("--force", is_flag=True, help="Check entries whose purpose is unknown, too.")
@click.option(
    "--profile",
    type=click.Choice(sorted(PROFILES)),
    default="flow",
    show_default=True,
    help="The kind of API.",
)
@schema_option
@click.option(
    "--thorough",
    is_flag=True,
    help="Also look for keys that come twice in one object; several times as slow.",
)
@click.option(
    "--quarantine",
    type=WORD,
    metavar="DIR",
    help="Write a repaired copy of each file with bad lines to DIR, and the bad lines with their findings beside it.",
)
@private_option
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Files at once (default: one for each processor).",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="text for people, or a JSON line for each finding.",
)
@click.option("--quiet", is_flag=True, help="No progress and no totals.")
def validate(paths: tuple[str, ...], **options: Any) -> int:
    """Check all files of MANIFEST, or data FILEs (with --purpose), and print everything that is wrong with them.

    Each finding names file, line and place, what was found and what to do about it. Nothing is sent, and no file is
    changed. The exit code is 10 when there is any error, 0 when there are none, warnings or not.

    \b
    Examples:
      bulk-upload validate manifest.jsonl
      bulk-upload validate chat.jsonl --purpose fine-tune --thorough
      bulk-upload validate manifest.jsonl --format json > findings.jsonl
      bulk-upload validate manifest.jsonl --quarantine repaired
    """
    request = ValidateRequest(
        paths=paths,
        purpose=options["purpose"],
        root=options["root"],
        follow_symlinks=options["follow_symlinks"],
        allow_outside=options["allow_outside"],
        force=options["force"],
        profile=PROFILES[options["profile"]],
        purposes=schemas_of(options["schema"]),
        thorough=options["thorough"],
        quarantine=options["quarantine"],
        private=options["private"],
        job_count=options["jobs"],
        as_json=options["output_format"] == "json",
        quiet=options["quiet"],
    )
    return anyio.run(validate_and_report, request)
