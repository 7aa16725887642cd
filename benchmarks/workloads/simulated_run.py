"""A run whose uploads are accepted at once, without a network: everything of a job but the wire.

Planning, reading, hashing, recording and the results file are the product's own. Started by the workload `growth`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from typing import TYPE_CHECKING
from unittest.mock import patch

from bulk_upload import ConfirmMode, ExitStatus, Job, RunSettings, Uploader
from bulk_upload.core.model import Accepted, SentBody
from bulk_upload.core.run.sender import UploadReport, UploadRequest
from bulk_upload.core.run.source import LoadedFile, Source
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.edge.transport import Transport
from bulk_upload.report.files.rows import RowFormat, save_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.api.pace import Pace

_numbers = itertools.count(1)


async def _accept(
    self: Transport,  # noqa: ARG001 - stands in for a method
    request: UploadRequest,
    source: Source,
    *,
    on_handed: Callable[[int], None],
    on_cancelled: Callable[[UploadReport], None],  # noqa: ARG001 - nothing is ever in flight
    pace: Pace | None = None,  # noqa: ARG001 - no bandwidth is capped
) -> UploadReport:
    if not isinstance(source, LoadedFile):
        raise TypeError("the simulated transport takes small files only")
    on_handed(source.fingerprint.size)
    await asyncio.sleep(0)
    sent = SentBody(
        sent_name=request.sent_name,
        purpose=request.purpose,
        file_bytes=source.fingerprint.size,
        complete=True,
        content_hash=source.content_hash,
        fingerprint=source.fingerprint,
    )
    outcome = Accepted(file_id=f"file-{next(_numbers):012}", http_status=200, size_confirmed=True)
    return UploadReport(outcome=outcome, sent=sent)


async def _run(manifest: str, ledger: str, concurrency: int) -> ExitStatus:
    settings = RunSettings(concurrency=concurrency, confirm=ConfirmMode.OFF)
    async with Uploader(api_key="benchmark", base_url="http://127.0.0.1:9", settings=settings) as uploader:
        return (await uploader.run(Job(manifest=manifest, ledger=ledger))).status


def main() -> int:
    """Run once: MANIFEST LEDGER CONCURRENCY."""
    manifest, ledger, concurrency = sys.argv[1:]
    # The real run without a server: what is left is the client's own cost.
    patch.object(Transport, "send", _accept).start()
    status = asyncio.run(_run(manifest, ledger, int(concurrency)))
    with LedgerReader(ledger) as reader:
        save_rows(reader.rows(), f"{ledger}.results.csv", RowFormat.CSV)
    os.unlink(f"{ledger}.results.csv")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
