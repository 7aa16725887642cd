"""`bulk-upload demo`: the whole story in half a minute, on this machine only."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from importlib.resources import as_file, files

import anyio
import click
from rich.console import Console

from bulk_upload.cli.running import RunRequest, run_and_report
from bulk_upload.core.display import printable
from bulk_upload.core.profile import FLOW
from bulk_upload.core.settings import RunSettings
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.mapping import mapping_table
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from bulk_upload.uploader import Job, Uploader

FOLDER = "bulk-upload-demo"
# The second upload meets a 429 and a later one a 503, each with Retry-After, so that the pause is seen.
FAULTS = "ok,429:1,ok,ok,503:1"
KEY = "demo-key"


@click.command("demo")
def demo() -> int:
    """Upload a small sample to a local sandbox and show the ledger.

    Everything happens on this machine, in ./bulk-upload-demo/. The server refuses two uploads on the way; the
    same command is then run again to show that nothing is sent twice.
    """
    manifest = _lay_out_samples()
    with sandbox_in_thread(SandboxConfig(keys=(KEY,), faults=parse_faults(FAULTS))) as sandbox:
        request = _request(manifest, sandbox.url)
        _say(f"A sandbox of the Flow Files API listens on {sandbox.url}; it will refuse two uploads.")
        _say(f"\n$ bulk-upload run {manifest} --base-url {sandbox.url}\n")
        first = anyio.run(run_and_report, request)
        sent_count = sandbox.request_count
        _say("\nThe same command again:\n")
        second = anyio.run(run_and_report, request)
        again_count = sandbox.request_count - sent_count
        stored_count = len(sandbox.files)
    ledger = Uploader(api_key=KEY, base_url=request.base_url).ledger_path(request.job)
    with LedgerReader(ledger) as reader:
        rows = list(reader.rows())
    _say("")
    Console().print(mapping_table(rows, len(rows)))
    _say(
        f"\nThe server holds {stored_count} files for {len(rows)} entries; the second run sent {again_count}."
    )
    _say(f"The ledger is {printable(os.path.relpath(ledger))}. Look at it any time:")
    _say(f"  bulk-upload status {printable(os.path.relpath(ledger))}")
    return max(first, second) if stored_count == len(rows) and not again_count else ExitStatus.UNEXPECTED


def _request(manifest: str, url: str) -> RunRequest:
    return RunRequest(
        job=Job(manifest=manifest),
        api_key=KEY,
        base_url=url,
        profile=FLOW,
        team=None,
        allow_plain_http=False,
        # One at a time, so that the two refusals always meet the same uploads.
        settings=RunSettings(concurrency=1, settle_s=2.0),
        stall_s=60.0,
        results=None,
        live=False,
        quiet=False,
        command=f"bulk-upload run {manifest} --base-url {url}",
    )


def _lay_out_samples() -> str:
    """Copy the packaged samples into the demo folder, without ledgers of earlier demos; return the manifest."""
    try:
        with as_file(files("bulk_upload")) as package:
            samples = package / "samples"
            source = samples if samples.is_dir() else package.parent / "manifests"
            shutil.copytree(source, FOLDER, dirs_exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot write the samples to ./{FOLDER}: {error.strerror or error}",
            hint="change to a folder you may write to",
        ) from None
    for name in os.listdir(FOLDER):
        if name.startswith("quickstart@127.0.0.1-"):
            with suppress(OSError):
                os.unlink(os.path.join(FOLDER, name))
    return os.path.join(FOLDER, "quickstart.jsonl")


def _say(text: str) -> None:
    click.echo(text, err=True)
