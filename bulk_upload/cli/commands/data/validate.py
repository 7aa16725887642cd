"""`bulk-upload validate`: find errors in the data before it is sent."""

from __future__ import annotations

from typing import Any

import anyio
import click

from bulk_upload.cli.config.file import current_configuration, profile_named
from bulk_upload.cli.dataset.options import survey_options, survey_request
from bulk_upload.cli.folder.options import MAP, Paths, selection_options
from bulk_upload.cli.folder.target import refuse_folder_options
from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.job import JOB_CONTEXT, profile_option, tree_options
from bulk_upload.cli.options.private import private_option
from bulk_upload.cli.options.profile_variables import ProfileVariableOption
from bulk_upload.cli.options.schema import jobs_option, rules_chosen, rules_options, schemas_of
from bulk_upload.cli.options.sections import JobCommand
from bulk_upload.cli.options.units import WORD
from bulk_upload.cli.output.json_output import json_option
from bulk_upload.cli.validate_files import validate_and_report
from bulk_upload.cli.validate_request import ValidateRequest
from bulk_upload.errors import UsageError
from bulk_upload.report.findings import FORMATS


@click.command("validate", cls=JobCommand, context_settings=JOB_CONTEXT)
@click.argument(
    "manifest",
    cls=Paths,
    nargs=-1,
    required=True,
    metavar="MANIFEST|FOLDER|FILE...",
    shell_complete=file_names,
)
@click.option(
    "--purpose",
    type=WORD,
    metavar="P",
    help="Purpose of the data files; for a manifest, the default purpose; for a folder, that of files that no --map "
    "pattern matches.",
)
@MAP
@selection_options
@click.option(
    "--base-url",
    cls=ProfileVariableOption,
    variable="base_url_variable",
    type=WORD,
    metavar="URL",
    help="Server whose ledger knows the purposes of a folder's files (default: as for `run`). Nothing is sent to it.",
)
@click.option("--ledger", type=WORD, metavar="FILE", help="That ledger (default: as for `run`).")
@tree_options
@click.option(
    "--allow-plain-http", is_flag=True, help="Read objects unencrypted from machines other than this one."
)
@click.option("--force", is_flag=True, help="Also check entries with an unknown purpose.")
@profile_option
@rules_options
@click.option(
    "--thorough",
    is_flag=True,
    help="Also find duplicate keys in objects; several times as slow.",
)
@click.option(
    "--quarantine",
    type=WORD,
    metavar="DIR",
    help="Write a repaired copy of each file with bad lines to DIR, with the bad lines and their findings beside it.",
)
@survey_options
@private_option
@jobs_option
@click.option(
    "--format",
    "output_format",
    type=click.Choice(list(FORMATS)),
    default="text",
    show_default=True,
    help="text for people, one JSON line per finding, annotations for GitHub Actions, or SARIF 2.1.0 for code scanners.",
)
@json_option("a JSON object per finding (--format json)")
@click.option("--quiet", is_flag=True, help="Print no progress and no totals.")
def validate(manifest: tuple[str, ...], **options: Any) -> int:
    """Check all files of MANIFEST or FOLDER, or data FILEs (with --purpose), and print every finding.

    Each finding names file, line and place, what is wrong and how to fix it. Nothing is sent, and no file is
    modified. The files of a folder have the purposes that `run` gives them; `-` is data, or a manifest, on standard input. The exit code is 10 if there is any error,
    otherwise 0; warnings do not count. It is 3 if there is none, but files of a folder have no purpose or cannot be read.

    \b
    Examples:
      bulk-upload validate manifest.jsonl
      bulk-upload validate ./datasets --exclude '*.md'
      bulk-upload validate chat.jsonl --purpose fine-tune --thorough
      zcat big.jsonl.gz | bulk-upload validate - --purpose pre-train
      bulk-upload validate manifest.jsonl --json > findings.jsonl
      bulk-upload validate manifest.jsonl --quarantine repaired
      bulk-upload validate manifest.jsonl --stats --report data.html
    """
    profile = profile_named(options["profile"])
    request = ValidateRequest(
        paths=manifest,
        purpose=options["purpose"],
        root=options["root"],
        follow_symlinks=options["follow_symlinks"],
        allow_outside=options["allow_outside"],
        force=options["force"],
        profile=profile,
        purposes=schemas_of(options["schema"], profile),
        schema_file=options["schema"],
        choice=rules_chosen(options["ignore"], options["error"], is_strict=options["strict"]),
        thorough=options["thorough"],
        quarantine=options["quarantine"],
        private=options["private"],
        job_count=options["jobs"],
        output_format=_format_of(options),
        quiet=options["quiet"],
        mappings=options["mappings"],
        include=options["include"],
        exclude=options["exclude"],
        newer_than_ns=options["newer_than"],
        base_url=options["base_url"],
        ledger=options["ledger"],
        survey=survey_request(options),
        sources=current_configuration().source_options(),
        allow_plain_http=options["allow_plain_http"],
    )
    if request.folder_request() is None:
        refuse_folder_options(manifest[0])
    return anyio.run(validate_and_report, request)


def _format_of(options: dict[str, Any]) -> str:
    """Return the format that is asked for. Raises UsageError for two."""
    if not options["as_json"]:
        return str(options["output_format"])
    if options["output_format"] not in ("text", "json"):
        raise UsageError(
            f"--json is --format json, and --format {options['output_format']} is given",
            hint="give one of them",
        )
    return "json"
