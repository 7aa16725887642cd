"""`bulk-upload run`: the main job."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from bulk_upload.cli.config.file import current_configuration, profile_named
from bulk_upload.cli.fleet.options import fleet_of, listen_options, processes_option
from bulk_upload.cli.folder.options import Paths
from bulk_upload.cli.options.api_key import api_key_of
from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.job import (
    JOB_CONTEXT,
    job_of,
    job_options,
    retries_missing,
    retries_renamed,
    retry_of,
    shown_command,
)
from bulk_upload.cli.options.limit_units import (
    BANDWIDTH,
    CONCURRENCY,
    CONCURRENCY_CAP,
    LEAST_RATE,
    SIZE,
    START_RATE,
)
from bulk_upload.cli.options.private import private_option
from bulk_upload.cli.options.schema import rules_chosen, schemas_of
from bulk_upload.cli.options.sections import JobCommand
from bulk_upload.cli.options.server import connection_of
from bulk_upload.cli.options.units import COUNT_OR_SHARE, DURATION, POSITIVE_DURATION, WORD
from bulk_upload.cli.output.json_output import json_option
from bulk_upload.cli.output.run_log import BESIDE, JSON, LOG_FILE_HELP, TEXT, LogRequest, speak_as_asked
from bulk_upload.cli.output.streams import STANDARD_OUTPUT
from bulk_upload.cli.uncollected import collect_seldom, uncollected
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.run.failure_limit import CANARY_MAX, IN_A_ROW_MAX
from bulk_upload.core.run.retry import RetryPolicy
from bulk_upload.core.run.settings import ConfirmMode, InDoubtPolicy, RunSettings, ValidateMode
from bulk_upload.edge.descriptors import raise_descriptor_limit
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from bulk_upload.cli.output.notify import Target


class _Run(JobCommand):
    """The command whose help ends with the meaning of its exit codes."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(one)), one.meaning) for one in _EXIT_CODES])
        with formatter.section("Environment"):
            formatter.write_dl(_VARIABLES)


_EXIT_CODES = tuple(one for one in ExitStatus if one not in (ExitStatus.DIFFERENCES, ExitStatus.NO_RUN))
_VARIABLES = [
    (str(FLOW.key_variable), f"The API key of the profile {FLOW.name} only."),
    (
        "BULK_UPLOAD_...",
        "Any option: BULK_UPLOAD_MAX_ATTEMPTS=3 is --max-attempts 3. Overrides bulk-upload.toml; options override it.",
    ),
]


@click.command("run", cls=_Run, context_settings=JOB_CONTEXT)
@click.argument(
    "manifest", cls=Paths, nargs=-1, required=True, metavar="MANIFEST|PATH...", shell_complete=file_names
)
@click.option("--dry-run", is_flag=True, help="Show what would be uploaded, as `plan` does; send nothing.")
@click.option(
    "-y", "--yes", is_flag=True, help="Ask nothing about a folder: upload the files whose purpose is known."
)
@job_options
@click.option(
    "--send-again",
    is_flag=True,
    help="Send files that a lost or copied ledger seems to have sent; do not look for them in the server's list first.",
)
@click.option(
    "--concurrency",
    type=CONCURRENCY,
    metavar="auto|N",
    default="auto",
    show_default=True,
    help="Uploads in flight; auto tunes the number.",
)
@click.option(
    "--max-concurrency",
    type=CONCURRENCY_CAP,
    metavar="N",
    help="Maximum uploads in flight.",
)
@click.option(
    "--rate", type=START_RATE, metavar="N/s", help="Maximum rate of upload starts, such as 5/s or 20/min."
)
@click.option(
    "--bandwidth",
    type=BANDWIDTH,
    metavar="SIZE/s",
    help="Maximum bytes per second, such as 50MB/s, or a timetable in local time: '08:00,2MB/s 19:00,off'.",
)
@click.option(
    "--answer",
    type=POSITIVE_DURATION,
    default="5m",
    show_default=True,
    help="How long the server may take to answer after it has the whole file.",
)
@click.option(
    "--min-rate",
    type=LEAST_RATE,
    metavar="SIZE/s",
    default="off",
    show_default=True,
    help="Abort a request whose body is slower than this for a minute, such as 10kB/s.",
)
@click.option(
    "--max-attempts",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=6,
    show_default=True,
    help="Attempts per entry; throttled ones do not count.",
)
@click.option(
    "--patience",
    type=DURATION,
    default="15m",
    show_default=True,
    help="Stop after being throttled this long with nothing accepted.",
)
@click.option("--deadline", type=DURATION, help="Start no new uploads after this long, such as 2h.")
@click.option(
    "--max-errors",
    type=COUNT_OR_SHARE,
    help="Stop when this many entries, or this share of them, failed for one cause (default: the first "
    f"{CANARY_MAX} of a run, or later {IN_A_ROW_MAX} in a row).",
)
@click.option(
    "--in-doubt",
    type=click.Choice([one.value for one in InDoubtPolicy]),
    default="reconcile",
    show_default=True,
    help="After a lost answer: search the server's list; or leave the entry in doubt; or search the list and "
    "resend what it cannot decide, which may create duplicates.",
)
@click.option(
    "--settle",
    type=DURATION,
    default="30s",
    show_default=True,
    help="How long a lost file must be missing from the server's list to count as absent.",
)
@click.option(
    "--compare-max",
    type=SIZE,
    default="64MiB",
    show_default=True,
    help="Compare files up to this size whole before they are adopted from the list, larger ones by ranges of this "
    "size in all.",
)
@click.option(
    "--confirm",
    type=click.Choice([one.value for one in ConfirmMode]),
    default="list",
    show_default=True,
    help="Before the run ends, compare its receipts with the server's list (the closing check), in a few requests; "
    "off: do not.",
)
@click.option(
    "--results",
    type=WORD,
    metavar="FILE|-|none",
    help="Also write a line per entry as it is settled, to FILE or standard output (-): JSON, or CSV if "
    "FILE ends in .csv; none: write no results file at all.",
)
@json_option("a JSON object per entry as it is settled (--results -)")
@click.option(
    "--hash",
    "hash_",
    type=click.Choice(["sha256", "blake3", "off"]),
    default="sha256",
    show_default=True,
    help="Hash what is sent. blake3 takes a third of the time and needs the extra blake3; off takes none, but "
    "touched files are then read back or sent again.",
)
@click.option(
    "--metrics-file",
    type=WORD,
    metavar="FILE",
    help="Write metrics for Prometheus (textfile collector) to FILE, every 30 s and at the end.",
)
@click.option(
    "--notify",
    type=WORD,
    metavar="CMD|URL",
    help="At the end, run CMD with a JSON object on its standard input, or POST it to URL.",
)
@click.option("--bell", is_flag=True, help="Ring the terminal's bell at the end.")
@click.option(
    "--serve",
    is_flag=False,
    flag_value="127.0.0.1:0",
    metavar="[ADDRESS]",
    help="Serve a live page while the run goes on, at PORT or HOST:PORT (default: any free port of 127.0.0.1).",
)
@click.option("--control", is_flag=True, help="Let the page of --serve pause, resume and limit the run.")
@processes_option
@listen_options
@private_option
@click.option("--no-progress", is_flag=True, help="Print plain lines instead of a live display.")
@click.option("--quiet", is_flag=True, help="Print nothing unless something goes wrong.")
@click.option(
    "-v",
    "--verbose",
    count=True,
    help="Also print accepted entries and retries; -vv: each request. With --log-file, only in the log.",
)
@click.option(
    "--log-format",
    type=click.Choice([TEXT, JSON]),
    default=TEXT,
    show_default=True,
    help="json: write events as JSON Lines, to stderr instead of text or to --log-file.",
)
@click.option("--log-file", type=WORD, metavar=f"FILE|{BESIDE}", help=LOG_FILE_HELP)
def run(manifest: tuple[str, ...], *, dry_run: bool, yes: bool, **options: Any) -> int:
    """Upload every entry of MANIFEST (JSONL or CSV; - is standard input), or files and folders (PATH...).

    PATH may be a prefix of objects in a store, alone. A manifest says what each file is for, and nothing is asked. Of a folder, each file has the purpose that --map or
    --purpose gives it, or the one that alone takes such a file, by its first lines. On a terminal the plan is shown
    and confirmed, and you are asked about files whose purpose cannot be told; without a terminal, or with -y, these
    are left out and named (exit code 3). `bulk-upload ./datasets` is short for `bulk-upload run ./datasets`.

    Run the same command again to resume: a file with a receipt is never sent twice, new and changed files are taken
    up. The mapping from path to file id is written to <manifest stem>.results.csv beside the ledger, which lies
    beside the manifest or folder.

    \b
    Examples:
      bulk-upload run ./datasets
      bulk-upload run ./datasets --map 'corpus/**=pre-train' --exclude '*.md' -y
      bulk-upload run a.jsonl b.jsonl --purpose fine-tune
      bulk-upload run s3://bucket/chat --purpose fine-tune
      bulk-upload run manifest.jsonl
      bulk-upload run manifest.jsonl --deadline 6h --quiet
      bulk-upload run manifest.jsonl --retry rejected,failed
      bulk-upload run manifest.jsonl --base-url http://127.0.0.1:8099
      bulk-upload run --job nightly --log-format json --log-file beside
    """
    with uncollected():
        from bulk_upload.cli.folder.ledger_given import refuse_ledger  # noqa: PLC0415 - help must not wait for SQLite

    refuse_ledger(manifest)
    if dry_run:
        from bulk_upload.cli.commands.plan import plan_and_show  # noqa: PLC0415 - help must not wait for SQLite

        return plan_and_show(manifest, options)
    with uncollected():
        # Help must not wait for an HTTP library.
        from bulk_upload.cli.event_loop import run_on_event_loop  # noqa: PLC0415
        from bulk_upload.cli.folder.target import folder_request_of  # noqa: PLC0415
        from bulk_upload.cli.run_job import run_and_report  # noqa: PLC0415
        from bulk_upload.cli.run_request import RunRequest  # noqa: PLC0415
        from bulk_upload.cli.streamed_job import with_header  # noqa: PLC0415
        from bulk_upload.edge.memory import share_one_arena  # noqa: PLC0415
        from bulk_upload.job_runner import SENDS  # noqa: PLC0415

        import_module(SENDS)
    collect_seldom()

    if options["as_json"]:
        if options["results"] is not None:
            raise UsageError("--json is --results -, and --results is given, too", hint="give one of them")
        options["results"] = STANDARD_OUTPUT
    log = LogRequest(
        form=options["log_format"],
        file=options["log_file"],
        private=options["private"],
        verbosity=options["verbose"],
        quiet=options["quiet"],
    )
    speak_as_asked(log)
    errors_max, errors_share = options["max_errors"] or (None, None)
    settings = RunSettings(
        concurrency=options["concurrency"],
        concurrency_max=options["max_concurrency"],
        rate_per_s=options["rate"],
        bandwidth=options["bandwidth"],
        retry_policy=RetryPolicy(attempts_max=options["max_attempts"]),
        patience_s=options["patience"],
        deadline_s=options["deadline"],
        errors_max=errors_max,
        errors_share=errors_share,
        in_doubt=InDoubtPolicy(options["in_doubt"]),
        settle_s=options["settle"],
        compare_max_bytes=options["compare_max"],
        retry=retry_of(options["retry"]),
        retry_renamed=retries_renamed(options["retry"]),
        retry_missing=retries_missing(options["retry"]),
        looks_first=not options["send_again"],
        hashing=None if options["hash_"] == "off" else HashFunction(options["hash_"]),
        validate=ValidateMode(options["validate"]),
        rules=rules_chosen(options["ignore"], options["error"], is_strict=options["strict"]),
        bundle=options["bundle"],
        confirm=ConfirmMode(options["confirm"]),
    )
    profile = profile_named(options["profile"])
    connection = connection_of(options, profile)
    api_key = log.redaction.learning(api_key_of(options, profile))
    request = RunRequest(
        job=with_header(replace(job_of(manifest[0], options), private=options["private"]), connection),
        named=manifest[0],
        api_key=api_key,
        connection=connection,
        settings=settings,
        fleet=fleet_of(options, settings),
        purposes=schemas_of(options["schema"], profile),
        results=options["results"],
        metrics=options["metrics_file"],
        live=not options["no_progress"],
        log=log,
        notify=_target_of(options["notify"]),
        bell=options["bell"],
        serve=_address_of(options["serve"]),
        page_controls=options["control"],
        settings_from=current_configuration().path,
        command=shown_command(sys.argv[1:]),
        validate_command=lambda: _validate_command(manifest),
        schema_file=options["schema"],
    )
    raise_descriptor_limit()
    share_one_arena()
    wanted = folder_request_of(manifest, options)
    if wanted is None:
        return run_on_event_loop(partial(run_and_report, request))
    from bulk_upload.cli.folder.uploading import upload_folder  # noqa: PLC0415 - a manifest needs none of it

    return upload_folder(request, wanted, yes=yes)


def _target_of(value: str | None) -> Target | None:
    if value is None:
        return None
    from bulk_upload.cli.output.notify import target_of  # noqa: PLC0415 - rarely asked for

    return target_of(value)


def _address_of(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    from bulk_upload.cli.output.serving import address_of  # noqa: PLC0415 - rarely asked for

    return address_of(text)


def _validate_command(manifest: tuple[str, ...]) -> str | None:
    from bulk_upload.cli.related_commands import validate_command  # noqa: PLC0415 - only invalid data needs it

    return validate_command(manifest)
