"""`bulk-upload pack`: write many JSON Lines files as few."""

from __future__ import annotations

from typing import Any

import anyio
import click

from bulk_upload.cli.config.file import profile_named
from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.job import JOB_CONTEXT, profile_option, tree_options
from bulk_upload.cli.options.limit_units import SIZE
from bulk_upload.cli.options.private import private_option
from bulk_upload.cli.options.schema import jobs_option, rules_chosen, rules_options, schemas_of
from bulk_upload.cli.options.sections import JobCommand
from bulk_upload.cli.options.units import WORD
from bulk_upload.cli.output.json_output import json_option


@click.command("pack", cls=JobCommand, context_settings=JOB_CONTEXT)
@click.argument("manifest", metavar="MANIFEST", shell_complete=file_names)
@click.option(
    "-o",
    "--output",
    type=WORD,
    required=True,
    metavar="DIR",
    help="Folder of the packs, made if missing. It must be empty, or be that of an earlier packing.",
)
@click.option(
    "--size",
    type=SIZE,
    default="256MB",
    show_default=True,
    help="Size of a pack, at most; a larger file has a pack by itself.",
)
@click.option("--purpose", type=WORD, metavar="P", help="Purpose of entries that name none.")
@tree_options
@click.option("--force", is_flag=True, help="Also pack entries with an unknown purpose.")
@profile_option
@rules_options
@private_option
@jobs_option
@json_option("what was done as one JSON object, or a JSON object per finding")
@click.option("--quiet", is_flag=True, help="Print no progress, and nothing where all is well.")
def pack(manifest: str, **options: Any) -> int:
    """Write the JSON Lines files of MANIFEST as few large ones, with a manifest of their own.

    A pack holds files of one purpose, database and set of fields, in the order of the manifest. Each file is validated
    first; if any has an error, nothing is written and the exit code is 10. members.jsonl says where each file is:
    `ledger export --members` makes of it the id for each, `unpack` the files. Run the same command again after
    changes: packs whose files are the same stay as they are.

    \b
    Examples:
      bulk-upload pack manifest.jsonl -o packed
      bulk-upload run packed/manifest.jsonl
      bulk-upload ledger export packed/manifest.jsonl --members packed/members.jsonl
    """
    from bulk_upload.cli.pack_files import PackRequest, pack_and_report  # noqa: PLC0415 - help must not wait
    from bulk_upload.cli.validate_request import ValidateRequest  # noqa: PLC0415

    profile = profile_named(options["profile"])
    files = ValidateRequest(
        paths=(manifest,),
        purpose=options["purpose"],
        root=options["root"],
        follow_symlinks=options["follow_symlinks"],
        allow_outside=options["allow_outside"],
        force=options["force"],
        profile=profile,
        purposes=schemas_of(options["schema"], profile),
        schema_file=options["schema"],
        choice=rules_chosen(options["ignore"], options["error"], is_strict=options["strict"]),
        thorough=False,
        quarantine=None,
        private=options["private"],
        job_count=options["jobs"],
        output_format="json" if options["as_json"] else "text",
        quiet=options["quiet"],
    )
    request = PackRequest(
        files=files, output=options["output"], size=options["size"], as_json=options["as_json"]
    )
    return anyio.run(pack_and_report, request)
