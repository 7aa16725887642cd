"""A job whose manifest comes by standard input: its header names the ledger."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bulk_upload.cli.output.streams import tell
from bulk_upload.core.run.job import ledger_path
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.manifest_file import STANDARD_INPUT, comes_by_stream
from bulk_upload.edge.output import descriptor_of
from bulk_upload.edge.streamed_header import header_of_stream
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.run.job import Job

_STANDARD_INPUT_NO = 0
_LEDGER_SUFFIX = ".ledger.db"


def with_header(job: Job, connection: Connection) -> Job:
    """Return a job whose manifest comes by a stream with the ledger that its header names, and the root if it is a pipe.

    A pipe is trusted like the command line that it is part of, a file is not. A job with a ledger, or without a header, is
    returned as it is. Blocks until the first line of the stream is there. Raises UsageError.
    """
    if job.ledger is not None or not comes_by_stream(job.manifest):
        return job
    descriptor = _STANDARD_INPUT_NO if job.manifest == STANDARD_INPUT else descriptor_of(job.manifest)
    if descriptor is None:
        return job
    is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    try:
        header = header_of_stream(descriptor)
    except OSError as error:
        raise UsageError(
            f"cannot read the manifest on standard input: {error.strerror}", hint="name a file in its place"
        ) from None
    except EOFError:
        where = "standard input" if job.manifest == STANDARD_INPUT else printable(job.manifest)
        raise UsageError(
            f"{where} is empty: no manifest came",
            hint="see the message of the command that should write it; one that `scan` did not write needs --ledger FILE, too",
        ) from None
    if header is None or header.ledger is None:
        return job
    # As of a manifest on disk with the ledger beside it: another server has a ledger of its own.
    stem = os.path.abspath(header.ledger).removesuffix(_LEDGER_SUFFIX)
    folder = os.path.realpath(os.path.dirname(stem))
    ledger = ledger_path(job, connection, manifest=f"{stem}.jsonl", folder=folder)
    root = header.root if is_pipe and job.root is None else job.root
    if root is not None:
        tell(f"root: {printable(root)}")
    return replace(job, ledger=ledger, root=root)
