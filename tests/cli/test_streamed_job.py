"""A manifest that comes by a stream, before anything of it is read."""

from __future__ import annotations

import os

import pytest

from bulk_upload.cli.streamed_job import with_header
from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.run.job import Job
from bulk_upload.errors import UsageError

CONNECTION = Connection(endpoint="http://127.0.0.1:8099", profile=FLOW)


def test_a_stream_without_a_byte_is_called_empty() -> None:
    """As where the command before the pipe failed: the place of the ledger is not what is wrong."""
    end, start = os.pipe()
    os.close(start)
    try:
        with pytest.raises(UsageError, match="is empty: no manifest came"):
            with_header(Job(manifest=f"/dev/fd/{end}"), CONNECTION)
    finally:
        os.close(end)


def test_a_stream_without_a_header_is_left_to_the_run() -> None:
    """What comes has no ledger of its own; the run asks for one."""
    end, start = os.pipe()
    os.write(start, b'{"path": "a", "purpose": "pre-train"}\n')
    os.close(start)
    try:
        job = Job(manifest=f"/dev/fd/{end}")
        assert with_header(job, CONNECTION) == job
    finally:
        os.close(end)
