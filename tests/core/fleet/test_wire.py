"""What crosses the wire comes back as it was."""

from __future__ import annotations

import msgspec
import pytest

from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.finding import Finding, Severity
from bulk_upload.core.fleet.messages import (
    AgentJob,
    Answer,
    Ended,
    FromAgentFrame,
    Send,
    ToAgentFrame,
    Welcome,
)
from bulk_upload.core.fleet.wire import (
    bytes_text,
    packed,
    packed_outcome,
    text_bytes,
    unpacked,
    unpacked_outcome,
)
from bulk_upload.core.model import (
    Accepted,
    Fingerprint,
    InDoubt,
    Misdirected,
    NotSent,
    Outcome,
    RateLimitInfo,
    Refused,
    Rejected,
    SourceFailed,
    Throttled,
    Unavailable,
)
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.core.run.records import OUTCOME_NAMES
from bulk_upload.core.validation.report import FileReport
from bulk_upload.core.validation.rules import ALL_RULES

ACCEPTED = Accepted(file_id="file-1", http_status=200, size_confirmed=True, allowance=RateLimitInfo(3, 1.5))
OUTCOMES: list[Outcome] = [
    ACCEPTED,
    Rejected(http_status=422, reason="bad"),
    Refused(http_status=401, reason="who?"),
    Misdirected(http_status=302, location_host="elsewhere"),
    Throttled(http_status=429, retry_after_s=None),
    Unavailable(reason="gone", cut_off=True),
    InDoubt(reason="lost", answered=True, at_its_word=ACCEPTED),
    SourceFailed(reason="it changed: \udcff"),
    NotSent(reason="drained", transient=True),
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda one: OUTCOME_NAMES[type(one)])
def test_every_outcome_comes_back(outcome: Outcome) -> None:
    """Also where a text of it is no UTF-8."""
    assert unpacked_outcome(*packed_outcome(outcome)) == outcome


def test_every_kind_of_outcome_is_tried() -> None:
    """A new outcome must cross, too."""
    assert {type(one) for one in OUTCOMES} == set(OUTCOME_NAMES)


def test_an_unknown_outcome_is_refused() -> None:
    """It is an error of the protocol, not of this program."""
    with pytest.raises(msgspec.ValidationError):
        unpacked_outcome("lucky", packed(ACCEPTED))
    with pytest.raises(msgspec.ValidationError):
        unpacked_outcome("accepted", packed(OUTCOMES[1]))


def test_paths_and_reports_need_not_be_text() -> None:
    """Names are bytes to a file system, and findings name their file."""
    path = "a\udcff/\u00e9.jsonl"
    assert bytes_text(text_bytes(path)) == path
    finding = Finding(rule="missing-key", where=path, found="x", remedy="y", severity=Severity.ERROR)
    report = FileReport(findings=(finding,), counts={"missing-key": 1}, line_count=1)
    assert unpacked(packed(report), FileReport) == report


def test_frames_are_lists_of_tagged_messages() -> None:
    """A frame decodes to the messages it was made of."""
    kind, outcome = packed_outcome(ACCEPTED)
    ended = Ended(
        attempt=1,
        kind=kind,
        outcome=outcome,
        complete=True,
        handed_bytes=10,
        content_hash="ab",
        fingerprint=Fingerprint(size=1, mtime_ns=2, inode=3),
        wire_bytes=10,
        handed_bytes_total=10,
    )
    up = FromAgentFrame(seq=1, seen=2, beat=3, messages=(ended,))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(up), type=FromAgentFrame) == up
    assert isinstance(msgspec.msgpack.decode(msgspec.msgpack.encode(up)), list)
    down = ToAgentFrame(
        seq=1, seen=0, beat=0, messages=(Send(attempt=1, handle=2, sent_name=b"n", purpose="p"),)
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(down), type=ToAgentFrame) == down
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(down), type=FromAgentFrame)


def test_a_job_crosses_whole() -> None:
    """Connection, profile, purposes and rules are the same at both ends."""
    job = AgentJob(
        connection=Connection(endpoint="http://127.0.0.1:1", profile=FLOW, team="t"),
        key="k",
        root=b"/data",
        follow_symlinks=False,
        allow_outside=False,
        ignore_ctime=False,
        hashing=HashFunction.SHA256,
        connections_max=8,
        checks=True,
        purposes=tuple(PURPOSES.values()),
        rules=ALL_RULES,
    )
    welcome = Welcome(session="s", ttl_s=20.0, job=job)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(welcome), type=Answer) == welcome
