"""`bulk-upload demo`: a complete example in a few seconds, on this machine only."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import anyio
import click

from bulk_upload.cli.commands.ledgers.ledger import show_mapping
from bulk_upload.cli.output.streams import tell
from bulk_upload.cli.run_job import run_and_report
from bulk_upload.cli.run_request import RunRequest
from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.events import AttemptEnded, EntrySettled
from bulk_upload.core.model import EntryState, Throttled
from bulk_upload.core.run.job import Job
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.live.eta import whole_seconds
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread

if TYPE_CHECKING:
    from bulk_upload.core.events import Event

FOLDER = "bulk-upload-demo"
MANIFEST = os.path.join(FOLDER, "quickstart.jsonl")
LEDGER = os.path.join(FOLDER, "demo.ledger.db")
# The second upload meets a 429 and a later one a 503, each with Retry-After, so that the pause is visible.
FAULTS = "ok,429:1,ok,ok,503:1"
KEY = "demo-key"


@click.command("demo")
def demo() -> int:
    """Upload a small sample to a local sandbox and show the ledger.

    Everything happens on this machine, in ./bulk-upload-demo/, which is recreated each time. The server
    refuses two uploads on the way; then the same command runs again to show that nothing is sent twice.
    """
    _lay_out_samples()
    with sandbox_in_thread(SandboxConfig(keys=(KEY,), faults=parse_faults(FAULTS))) as sandbox:
        tell(f"1. A sandbox of the Flow Files API listens on {sandbox.url}.")
        tell("   It refuses two uploads, with 429 and 503, and asks for a pause each time.")
        request = _request(sandbox.url)
        tell("\n2. Six files are uploaded, one at a time:\n")
        tell(f"$ bulk-upload run {MANIFEST} \\\n    --ledger {LEDGER} --base-url {sandbox.url}\n")
        status = anyio.run(run_and_report, request)
        if status != ExitStatus.DONE:
            return status
        sent_count = sandbox.request_count
        tell("\n3. The same command again sends nothing:\n")
        status = anyio.run(run_and_report, request)
        again_count = sandbox.request_count - sent_count
        stored_count = len(sandbox.files)
    tell("\n4. The ledger has the file id of each file:\n")
    show_mapping(LEDGER, limit=100, states=frozenset(EntryState))
    return _conclude(status, stored_count, again_count)


def _request(url: str) -> RunRequest:
    return RunRequest(
        job=Job(manifest=MANIFEST, ledger=LEDGER),
        api_key=KEY,
        connection=Connection(endpoint=url, profile=FLOW),
        # One at a time, so that the two refusals always hit the same uploads.
        settings=RunSettings(concurrency=1, settle_s=2.0),
        results=None,
        live=False,
        command=f"bulk-upload run {MANIFEST} --ledger {LEDGER} --base-url {url}",
        listeners=(_narrate,),
    )


def _narrate(event: Event) -> None:
    """Print each upload as it happens: the demo is too short for a progress display to show the pauses."""
    match event:
        case AttemptEnded(outcome=Throttled() as throttled):
            wait = whole_seconds(throttled.retry_after_s or 0.0)
            path = printable(event.path)
            tell(f"  HTTP {throttled.http_status}  {path}: all wait {wait}, as the server asks")
        case EntrySettled(state=EntryState.ACCEPTED, unchanged=False):
            tell(f"  accepted  {printable(event.path)}")
        case _:
            pass


def _conclude(status: int, stored_count: int, again_count: int) -> int:
    with LedgerReader(LEDGER) as reader:
        entry_count = sum(reader.states().values())
    tell(
        f"\nThe server has {stored_count} files for {entry_count} entries; the second run sent {again_count}."
    )
    if status == ExitStatus.DONE and (stored_count != entry_count or again_count):
        tell("bulk-upload: the demo failed; please report it with the lines above.")
        return ExitStatus.UNEXPECTED
    tell("\nShow the ledger at any time:")
    tell(f"  bulk-upload status {LEDGER}")
    tell("With your own files:")
    tell("  bulk-upload ./FOLDER")
    return status


def _lay_out_samples() -> None:
    """Copy the packaged samples into the demo folder and remove the ledger of an earlier demo."""
    try:
        with as_file(files("bulk_upload")) as package:
            samples = package / "samples"
            source = samples if samples.is_dir() else package.parent / "manifests"
            shutil.copytree(source, FOLDER, dirs_exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot write the samples to ./{FOLDER}: {error.strerror or error}",
            hint="change to a writable folder",
        ) from None
    for name in os.listdir(FOLDER):
        if name.startswith(os.path.basename(LEDGER)):
            with suppress(OSError):
                os.unlink(os.path.join(FOLDER, name))
