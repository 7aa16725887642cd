"""Closes what a job's plan was made of, once the thread that makes it is done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from bulk_upload.edge.ledger import Staging
    from bulk_upload.engine.plan import Plan
    from bulk_upload.job_plan import JobInput, Manifest


def close_plan(
    pool: ThreadPoolExecutor, planning: Future[Plan] | None, staging: Staging | None, manifest: Manifest
) -> None:
    """Close what a plan was made of and with, after the thread that makes it is done with them.

    A run that is cancelled meanwhile does not wait for that: a pipe or a disk may never answer. SQLite crashes the process
    where a connection is closed that another thread uses.
    """
    closes = [manifest.close] if staging is None else [staging.close, manifest.close]
    if staging is not None:
        staging.abandon()
    for close in closes:
        if planning is None or planning.done():
            close()
        else:
            pool.submit(close)


def close_unwanted(found: Future[JobInput]) -> None:
    """Close what was found for a run that was given up meanwhile."""
    if not found.cancelled() and found.exception() is None:
        found.result().close()
