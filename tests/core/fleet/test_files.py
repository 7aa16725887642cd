"""What is wanted of files, and what is wrong with them, arrives as it was."""

from __future__ import annotations

import msgspec
import pytest

from bulk_upload.core.fleet.files import error_of, fault_of, prepare_request, wanted_file
from bulk_upload.core.fleet.messages import FileFault, WantedFile
from bulk_upload.core.model import Fingerprint
from bulk_upload.core.run.sender import PrepareRequest
from bulk_upload.core.run.source import SourceChanged, SourceError, SourceGrew

NOW = Fingerprint(size=1, mtime_ns=2, inode=0, etag="a", version="b")


@pytest.mark.parametrize(
    "error",
    [
        SourceError("r", local_limit=True),
        SourceError("r", transient=True),
        SourceError("r", inaccessible=True),
        SourceError("r", invalid=True),
        SourceChanged("r", NOW, transient=True),
        SourceGrew(NOW),
    ],
)
def test_an_error_keeps_its_meaning(error: SourceError) -> None:
    """Whoever decides what to do next decides the same: kind, reason, and the version that is there now."""
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(fault_of(error)), type=FileFault)
    found = error_of(sent)
    assert type(found) is type(error)
    assert vars(found) == vars(error)


def test_a_request_keeps_the_version_that_it_expects() -> None:
    """An object is asked for as the one that was planned, wherever it is read."""
    wanted = PrepareRequest(
        path="s3://b/caf\udce9", purpose="p", planned_bytes=3, checks_content=True, expected=NOW
    )
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(wanted_file(wanted)), type=WantedFile)
    assert prepare_request(sent) == wanted
