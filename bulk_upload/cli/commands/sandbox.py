"""`bulk-upload sandbox`: serve a Files API on this machine, with the faults you ask for."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from dataclasses import replace
from typing import Any

import click

from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.edge.signals import staged_signals, status_after
from bulk_upload.errors import UsageError
from bulk_upload.sandbox import Habit, Sandbox, SandboxConfig, parse_faults
from bulk_upload.sandbox.dialects.flow import FLOW
from bulk_upload.sandbox.dialects.named import DIALECTS
from bulk_upload.sandbox.objects import (
    ObjectStore,
    ObjectStoreConfig,
    RequestKind,
    buckets_of_folder,
    parse_object_faults,
)
from bulk_upload.sandbox.objects.hub import HUB_OWNER

DEFAULT_PORT = 8099
DEFAULT_OBJECT_PORT = 8100
PLAY_KEY = "sandbox-key"
MEMORY_BYTES = 64_000_000
"""Contents of so many bytes are kept, so that a rehearsal of `files get` and `ledger rebuild` needs no option."""


@click.command("sandbox")
@click.option("--port", type=int, default=DEFAULT_PORT, show_default=True, help="Port; 0 picks a free one.")
@click.option(
    "--dir",
    "directory",
    metavar="DIR",
    help=f"Keep uploaded bytes in DIR (default: in memory, up to {human_bytes(MEMORY_BYTES)} in all; of more only size "
    "and SHA-256).",
)
@click.option(
    "--profile",
    default="flow",
    show_default=True,
    metavar="NAME",
    help=f"Whose Files API to speak: {', '.join(DIALECTS)}.",
)
@click.option(
    "--habit",
    "habits",
    multiple=True,
    type=click.Choice([str(one) for one in Habit]),
    help="What real servers do beside their description; repeatable.",
)
@click.option("--journal", "journal_path", metavar="FILE", help="Append one JSON line per request.")
@click.option("--key", "keys", multiple=True, metavar="KEY", help="Accept only this made-up key; repeatable.")
@click.option(
    "--faults",
    "fault_text",
    default="",
    metavar="TEXT",
    help="Faults, such as 'ok,429:1,drop-stored@5%' or 'storm'.",
)
@click.option("--seed", type=int, metavar="N", help="Seed for the chances in --faults.")
@click.option("--budget", "fault_budget", type=int, metavar="N", help="At most N chance faults per file.")
@click.option(
    "--answer-delay",
    "answer_delay_s",
    type=float,
    metavar="S",
    help="Seconds every upload waits for its answer.",
)
@click.option(
    "--read-rate",
    "read_bytes_per_s",
    type=float,
    metavar="BYTES",
    help="Bytes per second at which each body is read.",
)
@click.option(
    "--list-lag", "list_lag_s", type=float, metavar="S", help="Seconds until a new file appears in the list."
)
@click.option("--max-in-flight", type=int, metavar="N", help="Answer 429 above this many uploads in flight.")
@click.option(
    "--rate", "rate_per_s", type=float, metavar="N", help="Answer 429 above this many uploads per second."
)
@click.option("--burst", type=int, metavar="N", help="Burst size under --rate (default 1).")
@click.option(
    "--objects",
    "object_directory",
    metavar="DIR",
    help="Also serve an object store: each folder in DIR is a bucket. Nothing in DIR is changed.",
)
@click.option(
    "--object-port",
    type=int,
    default=DEFAULT_OBJECT_PORT,
    show_default=True,
    metavar="N",
    help="Port of the object store; 0 picks a free one.",
)
@click.option(
    "--object-faults",
    "object_fault_text",
    default="",
    metavar="TEXT",
    help="Faults of the object store, such as '503:1,drop-mid@5%,replace@/BUCKET/KEY'.",
)
def sandbox(
    *,
    port: int,
    directory: str | None,
    profile: str,
    habits: tuple[str, ...],
    journal_path: str | None,
    keys: tuple[str, ...],
    fault_text: str,
    object_directory: str | None,
    object_port: int,
    object_fault_text: str,
    **settings: float | None,
) -> None:
    """Serve a Files API on 127.0.0.1 until Ctrl-C (exit code 0), for rehearsals: Flow's, or another --profile.

    \b
    Separate faults with commas:
      ok,429:1,ok     a script: one step per upload, in order of arrival
      429:1*5         the same step five times
      drop-stored@5%  a chance for every upload after the script
      stored-503      503 after the file was stored; early-413: before the body is read
      storm           a preset; others: ambiguous, liar, harsh
      budget=2        a setting; the options below set the same
    docs/how-to/sandbox.md shows every fault with an example.

    \b
    Examples:
      bulk-upload sandbox
      bulk-upload sandbox --faults storm --journal journal.jsonl
      bulk-upload sandbox --port 0 --dir uploads --key my-test-key
      bulk-upload sandbox --profile openai --habit equal-times
      bulk-upload sandbox --objects buckets --object-faults drop-mid@5%
    """
    given: dict[str, Any] = {field: value for field, value in settings.items() if value is not None}
    faults = replace(parse_faults(fault_text), **given)
    config = SandboxConfig(
        port=port,
        directory=directory,
        memory_bytes=MEMORY_BYTES,
        profile=profile,
        habits=tuple(Habit(one) for one in habits),
        journal_path=journal_path,
        keys=keys,
        faults=faults,
    )
    asyncio.run(_serve(config, _object_config(object_directory, object_port, object_fault_text)))


def _object_config(directory: str | None, port: int, fault_text: str) -> ObjectStoreConfig | None:
    faults = parse_object_faults(fault_text)
    if directory is None:
        if fault_text:
            raise UsageError("--object-faults needs an object store", hint="add --objects DIR")
        return None
    try:
        buckets = buckets_of_folder(directory)
    except OSError as error:
        raise UsageError(
            f"--objects {printable(directory)} cannot be read: {error.strerror}",
            hint="name a folder whose folders are the buckets",
        ) from error
    if not buckets:
        raise UsageError(
            f"--objects {printable(directory)} has no folders, so there is no bucket",
            hint="name a folder whose folders are the buckets",
        )
    return ObjectStoreConfig(buckets=buckets, port=port, faults=faults)


async def _serve(config: SandboxConfig, object_config: ObjectStoreConfig | None) -> None:
    stopped = asyncio.Event()
    objects = None
    with staged_signals((lambda _: stopped.set(),), leave=status_after):
        async with contextlib.AsyncExitStack() as stack:
            running = await stack.enter_async_context(Sandbox(config))
            if object_config is not None:
                objects = await stack.enter_async_context(ObjectStore(object_config))
            _announce(running)
            if objects is not None:
                _announce_objects(objects)
            await stopped.wait()
    click.echo(f"sandbox stopped: {running.request_count} requests, {len(running.files)} files", err=True)
    if objects is not None:
        counts = ", ".join(f"{objects.counts[kind]} {str(kind).upper()}" for kind in RequestKind)
        click.echo(f"object store stopped: {counts} requests", err=True)


def _announce(running: Sandbox) -> None:
    config = running.config
    key = config.keys[0] if config.keys else PLAY_KEY
    dialect = DIALECTS[config.profile]
    spoken = "" if dialect is FLOW else f" and speaks {dialect.title}"
    click.echo(f"sandbox listens on {running.url}{spoken}; Ctrl-C stops it. To use it:", err=True)
    base_url = f"{running.url}{dialect.base_path}"
    click.echo(
        f"  export {dialect.url_variable}={base_url} {dialect.key_variable}={shlex.quote(key)}", err=True
    )
    if config.directory is None:
        click.echo(
            f"  contents are kept in memory, up to {human_bytes(MEMORY_BYTES)} in all; --dir DIR keeps them all",
            err=True,
        )
    else:
        click.echo(f"  uploaded bytes go to {printable(config.directory)}", err=True)
    if config.journal_path is not None:
        click.echo(f"  every request is logged to {printable(config.journal_path)}", err=True)


def _announce_objects(store: ObjectStore) -> None:
    buckets = ", ".join(printable(f"s3://{name}") for name in sorted(store.config.buckets))
    click.echo(f"objects are served on {store.url}: {buckets}. To use them:", err=True)
    click.echo(
        f"  export AWS_ENDPOINT={store.url} AWS_ALLOW_HTTP=true AWS_VIRTUAL_HOSTED_STYLE_REQUEST=false "
        f"AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID={PLAY_KEY} AWS_SECRET_ACCESS_KEY={PLAY_KEY}",
        err=True,
    )
    repositories = ", ".join(
        printable(f"hf://datasets/{HUB_OWNER}/{name}") for name in sorted(store.config.buckets)
    )
    click.echo(
        f"as a Hugging Face Hub: {repositories}. To use them:\n  export HF_ENDPOINT={store.hub_url}", err=True
    )
