"""Several files in one request, as they are on the wire and as they are answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bulk_upload.core.bundle.answer import Lesson
from bulk_upload.core.model import Accepted, InDoubt, NotSent, Throttled, Unavailable
from bulk_upload.core.run.sender import BundleReport, BundleRequest, UploadRequest
from bulk_upload.edge.transport import Transport
from bulk_upload.edge.transport.body import WRITE_BYTES_MIN
from bulk_upload.sandbox import Sandbox, SandboxConfig, parse_faults
from tests.edge.transport.shipping import KEY, loaded, transport_to

NAMES = ("a.jsonl", 'q"uo\\te.jsonl', "naïve 雪.jsonl", "empty.jsonl")
CONTENTS = (b"{}\n", b"[1]\n" * 3, b"x" * 1000, b"")


def request_of(names: tuple[str, ...]) -> BundleRequest:
    return BundleRequest(
        members=tuple(
            UploadRequest(
                attempt_id=number,
                path=name,
                sent_name=name,
                purpose="fine-tune",
                fields=(("purpose", "fine-tune"),),
            )
            for number, name in enumerate(names, 1)
        )
    )


async def ship(
    transport: Transport,
    names: tuple[str, ...] = NAMES,
    contents: tuple[bytes, ...] = CONTENTS,
    cancelled: list[BundleReport] | None = None,
) -> tuple[BundleReport, int]:
    """Send files; return the report and how many bytes were handed over."""
    handed: list[int] = []
    report = await transport.send_bundle(
        request_of(names),
        [loaded(content) for content in contents],
        on_handed=handed.append,
        on_cancelled=([] if cancelled is None else cancelled).append,
    )
    return report, sum(handed)


@asynccontextmanager
async def rehearsal(faults: str = "ok") -> AsyncIterator[tuple[Sandbox, Transport]]:
    async with (
        Sandbox(SandboxConfig(faults=parse_faults(faults), keys=(KEY,))) as sandbox,
        transport_to(sandbox.url) as transport,
    ):
        yield sandbox, transport


async def test_every_file_arrives_whole_and_under_its_name() -> None:
    """One PUT with a Content-Length: all files in order, names as they are, hashes as they were read."""
    async with rehearsal() as (sandbox, transport):
        report, handed = await ship(transport)
    (record,) = sandbox.uploads
    assert (record.path, record.content_length, record.body_bytes) == ("/v1/flow/bulk_files", handed, handed)
    assert tuple(one.filename for one in record.bulk_files) == NAMES
    assert [one.sha256 for one in record.bulk_files] == [one.content_hash for one in report.sent]
    assert all(one.complete for one in report.sent)
    assert [one.file_id for one in report.answer.outcomes if isinstance(one, Accepted)] == [
        one.file_id for one in sandbox.files
    ]
    assert transport.wire_bytes == handed
    assert sandbox.unexpected == ()


async def test_a_body_of_many_pieces() -> None:
    """Files that are more than one piece together arrive whole, too."""
    contents = tuple(bytes([number]) * (WRITE_BYTES_MIN // 3 + number) for number in range(12))
    names = tuple(f"{number}.jsonl" for number in range(12))
    async with rehearsal() as (sandbox, transport):
        report, handed = await ship(transport, names, contents)
    assert [one.bytes for one in sandbox.files] == [len(one) for one in contents]
    assert handed == sandbox.uploads[0].body_bytes
    assert report.answer.lesson is Lesson.SERVED


async def test_the_connection_is_used_again() -> None:
    """A complete exchange leaves its connection for the next request."""
    async with rehearsal() as (sandbox, transport):
        for _ in range(3):
            await ship(transport)
    assert len({one.connection for one in sandbox.uploads}) == 1


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        ("reversed", [Accepted] * 4),
        ("left-out", [InDoubt] + [Accepted] * 3),
        ("renamed", [InDoubt] + [Accepted] * 3),
        ("wrong-bytes", [InDoubt] * 4),
        ("duplicate-id", [InDoubt] * 4),
        ("drop-part", [InDoubt] * 4),
        ("drop-stored", [InDoubt] * 4),
        ("stored-500", [InDoubt] * 4),
        ("422", [InDoubt] * 4),
        ("html", [InDoubt] * 4),
        ("truncated", [InDoubt] * 4),
        ("huge", [InDoubt] * 4),
        ("garbage", [InDoubt] * 4),
        ("429:1", [Throttled] * 4),
        ("bulk=no", [Unavailable] * 4),
    ],
)
async def test_every_fault_has_its_outcomes(fault: str, kinds: list[type]) -> None:
    """What the sandbox does wrong comes back as an outcome for each file, never as an exception."""
    async with rehearsal(fault) as (sandbox, transport):
        report, _ = await ship(transport)
    assert [type(one) for one in report.answer.outcomes] == kinds
    assert sandbox.upload_count == 1


async def test_an_early_refusal_leaves_none_in_doubt() -> None:
    """A connection that breaks before the last byte proves that none of the files is there."""
    large = b"x" * 20_000_000
    async with rehearsal("drop-mid:0.1") as (sandbox, transport):
        report, handed = await ship(transport, NAMES, (b"a", b"b", large, b"d"))
    assert all(isinstance(one, Unavailable) for one in report.answer.outcomes)
    assert not any(one.complete or one.content_hash for one in report.sent)
    assert handed < len(large)
    assert sandbox.files == ()


async def test_cancelled_before_the_end() -> None:
    """A task that is cancelled reports each file of its request: not sent while the body was incomplete."""
    cancelled: list[BundleReport] = []
    async with rehearsal("stall") as (_, transport):
        task = asyncio.create_task(
            ship(transport, NAMES, (b"a", b"b", b"x" * 20_000_000, b"d"), cancelled=cancelled)
        )
        while not transport.partial_bytes:
            await asyncio.sleep(0.001)
        (body,) = transport.bodies()
        assert (body.path, body.file_count) == (NAMES[0], 4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    (report,) = cancelled
    assert all(isinstance(one, NotSent) for one in report.answer.outcomes)


async def test_a_refused_key_is_everybodys() -> None:
    """The key is the same for all files, and is not in what is reported."""
    async with (
        Sandbox(SandboxConfig(keys=("another",))) as sandbox,
        transport_to(sandbox.url) as transport,
    ):
        report, _ = await ship(transport)
    assert KEY not in str(report)
    assert len({type(one) for one in report.answer.outcomes}) == 1
