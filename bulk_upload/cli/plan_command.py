"""`bulk-upload plan`: what `run` would do, and why."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from bulk_upload.cli.job_options import job_of, job_options, retry_of
from bulk_upload.core.display import human_bytes, printable
from bulk_upload.core.plan import Step
from bulk_upload.core.profile import PROFILES
from bulk_upload.core.settings import RunSettings
from bulk_upload.uploader import Uploader

if TYPE_CHECKING:
    from bulk_upload.core.work import StagedEntry
    from bulk_upload.engine.prepare import Plan

_TITLES = {
    Step.SEND: "to send",
    Step.COMPARE: "touched, to be hashed and compared",
    Step.RECONCILE: "in doubt, to be looked for at the server first",
    Step.SETTLED: "settled, nothing to do",
    Step.BLOCKED: "failed before, left alone",
}
_REASONS_SHOWN_MAX = 5


@click.command("plan")
@click.argument("manifest")
@job_options
@click.option(
    "--list", "list_entries", is_flag=True, help="Print a JSON line for every entry on standard output."
)
def plan(manifest: str, *, list_entries: bool, **options: Any) -> None:
    """Show what `run` would do with MANIFEST, and why. Touches nothing and needs no API key."""
    uploader = Uploader(
        # A plan sends nothing; the key is only asked for when something is sent.
        api_key="unused",
        base_url=options["base_url"],
        profile=PROFILES[options["profile"]],
        team=options["team"],
        settings=RunSettings(retry=retry_of(options["retry"])),
        allow_plain_http=True,
    )
    job = job_of(manifest, options)
    reasons: Counter[tuple[Step, str]] = Counter()

    def on_entry(one: StagedEntry) -> None:
        if one.step is None:
            return
        reasons[one.step, one.note] += 1
        if list_entries:
            line = {
                "path": one.entry.path,
                "purpose": one.entry.purpose,
                "step": one.step,
                "reason": one.note,
            }
            click.echo(json.dumps(line))

    made = uploader.plan(job, on_entry=on_entry)
    _show(made, reasons, uploader.ledger_path(job))


def _show(made: Plan, reasons: Counter[tuple[Step, str]], ledger_path: str) -> None:
    click.echo(f"{made.entry_count:,} entries, {human_bytes(made.file_bytes)}", err=True)
    for step, title in _TITLES.items():
        total = made.total(step)
        if not total.entry_count:
            continue
        click.echo(f"  {total.entry_count:>10,}  {title} ({human_bytes(total.file_bytes)})", err=True)
        of_step = Counter({reason: count for (one, reason), count in reasons.items() if one is step})
        for reason, count in of_step.most_common(_REASONS_SHOWN_MAX):
            click.echo(f"  {'':>10}    {count:,}: {printable(reason)}", err=True)
    if made.twin_count:
        click.echo(
            f"{made.twin_count:,} entries share name, size and purpose with another: these go one at a time",
            err=True,
        )
    for warning in made.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"ledger: {printable(ledger_path)}", err=True)
