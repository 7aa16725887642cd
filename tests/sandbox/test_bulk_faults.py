"""What can go wrong with several files in one request."""

from __future__ import annotations

import asyncio

import pytest

from bulk_upload.sandbox import Sandbox, SandboxConfig, parse_faults
from tests.sandbox.client import Answer, exchange, field_part, file_part, form, upload, upload_request

BULK_PATH = "/v1/flow/bulk_files"
NAMES = ("a.jsonl", "b.jsonl", "c.jsonl", "d.jsonl")


def rehearsal(faults: str) -> Sandbox:
    return Sandbox(SandboxConfig(faults=parse_faults(faults)))


async def send_all(sandbox: Sandbox, names: tuple[str, ...] = NAMES) -> Answer:
    parts = [file_part(name, f"{name}\n".encode()) for name in names]
    body = form(field_part("purpose", "fine-tune"), *parts)
    return await exchange(sandbox.url, upload_request(body, path=BULK_PATH))


def names_in(answer: Answer) -> list[str]:
    return [one["filename"] for one in answer.json]


def stored_names(sandbox: Sandbox) -> list[str]:
    return [one.filename for one in sandbox.files]


@pytest.mark.parametrize(
    ("fault", "stored_count"), [("drop-part", 2), ("drop-part:0.3", 1), ("drop-part:0", 0)]
)
async def test_a_part_is_stored_and_the_answer_is_lost(fault: str, stored_count: int) -> None:
    """`drop-part` stores the first files of a request and resets it; the journal knows which."""
    async with rehearsal(fault) as sandbox:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await send_all(sandbox)
    assert stored_names(sandbox) == list(NAMES[:stored_count])
    (record,) = sandbox.uploads
    ids = [one.file_id for one in record.bulk_files]
    assert ids == [one.file_id for one in sandbox.files] + [None] * (4 - stored_count)


async def test_another_order() -> None:
    """`reversed` answers in another order than the files were sent in."""
    async with rehearsal("reversed") as sandbox:
        answer = await send_all(sandbox)
    assert names_in(answer) == list(reversed(NAMES))
    assert stored_names(sandbox) == list(NAMES)


async def test_one_is_left_out() -> None:
    """`left-out` stores all files and answers without one of them; a single upload is answered as ever."""
    async with rehearsal("left-out*2") as sandbox:
        answer = await send_all(sandbox)
        single = await upload(sandbox.url)
    assert names_in(answer) == list(NAMES[1:])
    assert single.json["filename"] == "a.jsonl"
    assert len(sandbox.files) == 5


async def test_one_is_renamed() -> None:
    """`renamed` stores the first file under another name, and the journal keeps the one that was sent."""
    async with rehearsal("renamed") as sandbox:
        answer = await send_all(sandbox)
    assert names_in(answer) == ["renamed-a.jsonl", *NAMES[1:]]
    assert stored_names(sandbox)[0] == "renamed-a.jsonl"
    assert sandbox.uploads[0].bulk_files[0].filename == "a.jsonl"


async def test_one_bad_file_refuses_all() -> None:
    """`refuse-name` refuses every request with such a file, without a word about which, and stores nothing."""
    async with rehearsal("refuse-name=c.json") as sandbox:
        assert (await send_all(sandbox)).status == 422
        assert (await upload(sandbox.url, filename="c.jsonl")).status == 422
        assert (await upload(sandbox.url, filename="a.jsonl")).status == 200
    assert stored_names(sandbox) == ["a.jsonl"]


async def test_too_large_together() -> None:
    """`body-max` refuses a long body with 413 before it is read, whoever sent it."""
    async with rehearsal("body-max=400") as sandbox:
        assert (await send_all(sandbox)).status == 413
        assert (await send_all(sandbox, NAMES[:2])).status == 200
        assert (await upload(sandbox.url, b"x" * 1000)).status == 413
    assert [one.fault for one in sandbox.uploads] == ["body-max", None, "body-max"]


async def test_a_server_without_the_call() -> None:
    """`bulk=no` answers 404 to several files at once, and takes single ones."""
    async with rehearsal("bulk=no") as sandbox:
        assert (await send_all(sandbox)).status == 404
        assert (await upload(sandbox.url)).status == 200
    assert sandbox.uploads[0].fault == "no-bulk"


async def test_requests_and_files_are_counted_apart() -> None:
    """Requests are one number, the files that they brought another."""
    async with rehearsal("ok") as sandbox:
        await send_all(sandbox)
        await upload(sandbox.url)
    assert (sandbox.upload_count, sandbox.file_count) == (2, 5)


async def test_faults_of_several_files_alone() -> None:
    """`bulk-only` spares single uploads, which take no step."""
    async with rehearsal("422,bulk-only=yes") as sandbox:
        assert (await upload(sandbox.url)).status == 200
        assert (await send_all(sandbox)).status == 422
        assert (await send_all(sandbox)).status == 200
