"""`bulk-upload run`: the main job."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import anyio
import click

from bulk_upload.cli.job_options import (
    JOB_CONTEXT,
    job_of,
    job_options,
    retry_of,
    without_retry,
)
from bulk_upload.cli.running import RunRequest, run_and_report
from bulk_upload.cli.server_options import KEY_VARIABLE, api_key_of, network_of
from bulk_upload.cli.units import COUNT_OR_SHARE, DURATION, WORD
from bulk_upload.core.causes import CANARY_MAX, IN_A_ROW_MAX
from bulk_upload.core.profile import PROFILES
from bulk_upload.core.retry import RetryPolicy
from bulk_upload.core.settings import InDoubtPolicy, RunSettings
from bulk_upload.edge.descriptors import raise_descriptor_limit
from bulk_upload.exit_status import ExitStatus


class _Run(click.Command):
    """The command whose help ends with what its exit codes mean."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(one)), one.meaning) for one in _EXIT_CODES])
        with formatter.section("Environment"):
            formatter.write_dl(_VARIABLES)


_EXIT_CODES = tuple(one for one in ExitStatus if one is not ExitStatus.DIFFERENCES)
_VARIABLES = [
    (KEY_VARIABLE, "The API key."),
    (
        "BULK_UPLOAD_...",
        "Any option: BULK_UPLOAD_MAX_ATTEMPTS=3 is --max-attempts 3. Options on the command line win.",
    ),
]


@click.command("run", cls=_Run, context_settings=JOB_CONTEXT)
@click.argument("manifest")
@job_options
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1024),
    metavar="N",
    default=8,
    show_default=True,
    help="Uploads in flight.",
)
@click.option(
    "--max-attempts",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=6,
    show_default=True,
    help="Attempts for one entry; throttled ones do not count.",
)
@click.option(
    "--patience",
    type=DURATION,
    default="15m",
    show_default=True,
    help="How long to be throttled without getting anywhere.",
)
@click.option("--deadline", type=DURATION, help="Start nothing new after this long, such as 2h.")
@click.option(
    "--max-errors",
    type=COUNT_OR_SHARE,
    help="Stop when so many entries, or such a share of them, failed for one cause (default: the first "
    f"{CANARY_MAX} of a run, or later {IN_A_ROW_MAX} in a row).",
)
@click.option(
    "--in-doubt",
    type=click.Choice([one.value for one in InDoubtPolicy]),
    default="reconcile",
    show_default=True,
    help="When an answer is lost: ask the server's list; or hold the entry for you; or ask the list, and "
    "resend what it cannot tell, which may make duplicates.",
)
@click.option(
    "--settle",
    type=DURATION,
    default="30s",
    show_default=True,
    help="How long the server's list must stay silent before a lost file counts as absent.",
)
@click.option(
    "--results",
    type=WORD,
    metavar="FILE|-|none",
    help="Also write a JSON line for every entry as it is settled, to FILE or (-) standard output; "
    "none: write no results file at all.",
)
@click.option(
    "--metrics-file",
    type=WORD,
    metavar="FILE",
    help="Keep the run's numbers in FILE for Prometheus (textfile collector): every 30 s and at the end.",
)
@click.option("--no-progress", is_flag=True, help="Plain lines instead of a live display.")
@click.option("--quiet", is_flag=True, help="Say nothing when all goes well.")
def run(manifest: str, **options: Any) -> int:
    """Upload every entry of MANIFEST (JSONL or CSV; - is standard input).

    The same command again resumes: what has a receipt is never sent twice. The mapping from path to file id ends
    up in <manifest stem>.results.csv beside the ledger.
    """
    errors_max, errors_share = options["max_errors"] or (None, None)
    settings = RunSettings(
        concurrency=options["concurrency"],
        retry_policy=RetryPolicy(attempts_max=options["max_attempts"]),
        patience_s=options["patience"],
        deadline_s=options["deadline"],
        errors_max=errors_max,
        errors_share=errors_share,
        in_doubt=InDoubtPolicy(options["in_doubt"]),
        settle_s=options["settle"],
        retry=retry_of(options["retry"]),
    )
    profile = PROFILES[options["profile"]]
    request = RunRequest(
        job=job_of(manifest, options),
        api_key=api_key_of(options),
        base_url=options["base_url"],
        profile=profile,
        network=network_of(options, options["base_url"] or profile.base_url),
        team=options["team"],
        allow_plain_http=options["allow_plain_http"],
        settings=settings,
        stall_s=options["stall"],
        results=options["results"],
        metrics=options["metrics_file"],
        live=not options["no_progress"],
        quiet=options["quiet"],
        command=shlex.join(["bulk-upload", *without_retry(sys.argv[1:])]),
    )
    raise_descriptor_limit()
    return anyio.run(run_and_report, request)
