from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import pytest

from bulk_upload.sandbox import Faults, JournalRecord, Sandbox, SandboxConfig, parse_faults
from tests.sandbox.client import (
    Answer,
    call,
    connect,
    exchange,
    field_part,
    file_part,
    form,
    head,
    upload,
    upload_form,
    upload_request,
)


def rehearsal(text: str) -> Sandbox:
    return Sandbox(SandboxConfig(faults=parse_faults(text)))


async def test_the_script_meets_uploads_in_order() -> None:
    """Each upload takes the next step; calls and refused keys take none; afterwards all is well."""
    async with rehearsal("ok,429:1,ok,503:1") as sandbox:
        answers = [await upload(sandbox.url)]
        await call(sandbox.url, "GET", "/v1/flow/files")
        await upload(sandbox.url, key=None)
        answers += [await upload(sandbox.url) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 429, 200, 503, 200]
    assert [answer.headers.get("retry-after") for answer in answers] == [None, "1", None, "1", None]
    assert len(sandbox.files) == 3
    assert [record.fault for record in sandbox.uploads] == [None, None, "429:1", None, "503:1", None]


async def test_retry_after_forms() -> None:
    """Retry-After is seconds, an HTTP-date, any literal text, or absent, as the step says."""
    async with rehearsal("429:7,503:date+60,429:1e400,408") as sandbox:
        sent = [(await upload(sandbox.url)).headers.get("retry-after") for _ in range(4)]
    assert (sent[0], sent[2], sent[3]) == ("7", "1e400", None)
    ahead_s = parsedate_to_datetime(sent[1] or "").timestamp() - time.time()
    assert 55 < ahead_s < 62


async def test_redirects_point_where_the_step_says() -> None:
    """A 3xx step carries a Location: a host that never resolves, or the one written behind the colon."""
    async with rehearsal("307,302:http://127.0.0.1:9/x") as sandbox:
        answers = [await upload(sandbox.url) for _ in range(2)]
    assert [answer.status for answer in answers] == [307, 302]
    assert answers[0].headers["location"].startswith("http://elsewhere.invalid/")
    assert answers[1].headers["location"] == "http://127.0.0.1:9/x"


async def test_the_moment_decides_what_is_stored() -> None:
    """`stored-` statuses come after the file was stored, plain and `early-` ones store nothing."""
    async with rehearsal("stored-500,500,early-500,stored-201") as sandbox:
        answers = [await upload(sandbox.url) for _ in range(4)]
    assert [answer.status for answer in answers] == [500, 500, 500, 201]
    assert [record.file_id is not None for record in sandbox.uploads] == [True, False, False, True]
    assert [record.complete for record in sandbox.uploads] == [True, True, False, True]
    assert answers[3].json["id"] == sandbox.uploads[3].file_id


async def test_an_early_answer_needs_no_body() -> None:
    """An `early-` status, a refused key and a limit are answered before any byte of the body."""
    async with rehearsal("early-413") as sandbox, connect(sandbox.url) as wire:
        answer = await wire.exchange(head("PUT", "/v1/flow/files", body_bytes=10**9))
    assert answer.status == 413
    assert (sandbox.uploads[0].body_bytes, sandbox.uploads[0].content_length) == (0, 10**9)


@pytest.mark.parametrize(("text", "statuses"), [("", [100, 200]), ("early-429:2", [429])])
async def test_expect_continue(text: str, statuses: list[int]) -> None:
    """`100 Continue` comes before the body is read, and an early answer comes in its stead."""
    body = upload_form()
    async with rehearsal(text) as sandbox, connect(sandbox.url) as wire:
        request = head("PUT", "/v1/flow/files", body_bytes=len(body), headers=["Expect: 100-continue"])
        answer = await wire.exchange(request)
        seen = [answer.status]
        if answer.status == 100:
            seen.append((await wire.exchange(body)).status)
    assert seen == statuses


async def test_expect_can_be_ignored() -> None:
    """With `ignore-expect` no `100 Continue` ever comes, and the body is still taken."""
    body = upload_form()
    async with rehearsal("ignore-expect=yes") as sandbox, connect(sandbox.url) as wire:
        await wire.send(head("PUT", "/v1/flow/files", body_bytes=len(body), headers=["Expect: 100-continue"]))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wire.answer(), 0.1)
        await wire.send(body)
    assert sandbox.unexpected == ()


@pytest.mark.parametrize(
    ("step", "stored", "complete"),
    [("drop-head", False, False), ("drop-mid:0.5", False, False), ("drop-stored", True, True)],
)
async def test_dropped_connections(step: str, stored: bool, complete: bool) -> None:
    """A drop resets the connection without an answer; only `drop-stored` leaves a file."""
    body = upload_form(b"x" * 1_000_000)
    async with rehearsal(step) as sandbox:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await exchange(sandbox.url, upload_request(body))
        assert (await upload(sandbox.url)).status == 200
    record = sandbox.uploads[0]
    assert (record.fault, record.status, record.complete) == (step, None, complete)
    assert (record.file_id is not None) is stored
    assert len(sandbox.files) == 1 + stored
    if step == "drop-mid:0.5":
        assert record.body_bytes == len(body) // 2


async def test_a_drop_by_chance_is_mid_body_too() -> None:
    """A drop whose budget is looked up by file name comes in the middle of the body, however small it is."""
    async with rehearsal("drop-mid@1,budget=1") as sandbox:
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await upload(sandbox.url, b"x" * 3000)
        assert (await upload(sandbox.url, b"x" * 3000)).status == 200
    first = sandbox.uploads[0]
    assert first.content_length is not None
    assert first.content_length // 2 <= first.body_bytes < first.content_length


@pytest.mark.parametrize(("text", "closed"), [("early-413,linger=0", True), ("early-413", False)])
async def test_lingering(text: str, closed: bool) -> None:
    """With `linger=0` an early answer closes the connection at once; otherwise the body may still be sent."""
    async with rehearsal(text) as sandbox, connect(sandbox.url) as wire:
        assert (await wire.exchange(head("PUT", "/v1/flow/files", body_bytes=10**6))).status == 413
        ended = asyncio.wait_for(wire.reader.read(), 0.2)
        if closed:
            assert await ended == b""
        else:
            with pytest.raises(TimeoutError):
                await ended


MALFORMED: dict[str, Callable[[Answer, JournalRecord], bool]] = {
    "no-id": lambda answer, _: "id" not in answer.json and answer.json["bytes"] == 3,
    "bad-id": lambda answer, _: "/" in answer.json["id"],
    "duplicate-id": lambda answer, record: answer.json["id"] != record.file_id,
    "wrong-bytes": lambda answer, _: answer.json["bytes"] == 4,
    "html": lambda answer, _: answer.body.startswith(b"<html>"),
    "empty": lambda answer, _: answer.body == b"",
    "huge": lambda answer, _: len(answer.body) > 16_000_000,
    "truncated": lambda answer, _: answer.body.startswith(b'{"id"') and not answer.body.endswith(b"}"),
}


@pytest.mark.parametrize("step", MALFORMED)
async def test_malformed_answers_hide_a_stored_file(step: str) -> None:
    """Every malformed answer is a 200 for a file that was stored; the journal knows its true id."""
    async with rehearsal(f"ok,{step}") as sandbox:
        await upload(sandbox.url)
        answer = await upload(sandbox.url)
    record = sandbox.uploads[1]
    assert answer.status == 200
    assert MALFORMED[step](answer, record)
    assert record.file_id == sandbox.files[1].file_id


async def test_answers_that_are_no_http() -> None:
    """`garbage` sends bytes that are no HTTP, `cut-answer` less body than announced; both files are stored."""
    async with rehearsal("garbage,cut-answer") as sandbox:
        async with connect(sandbox.url) as wire:
            await wire.send(upload_request())
            garbage = await wire.reader.read()
        with pytest.raises(asyncio.IncompleteReadError):
            await upload(sandbox.url)
    assert not garbage.startswith(b"HTTP/")
    assert garbage
    assert [record.status for record in sandbox.uploads] == [None, 200]
    assert len(sandbox.files) == 2


async def test_malformed_bulk_answers() -> None:
    """A malformed step alters every item of a bulk answer."""
    body = form(field_part("purpose", "pre-train"), file_part("a", b"1"), file_part("b", b"22"))
    async with rehearsal("wrong-bytes") as sandbox:
        answer = await exchange(sandbox.url, upload_request(body, path="/v1/flow/bulk_files"))
    assert [file["bytes"] for file in answer.json] == [2, 3]


async def test_a_delayed_answer_is_journalled_at_once() -> None:
    """A client that gives up waiting finds its stored file in the journal and the list."""
    async with rehearsal("delay:60") as sandbox:
        async with connect(sandbox.url) as wire:
            await wire.send(upload_request())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(wire.answer(), 0.1)
        (record,) = sandbox.uploads
        assert record.file_id == sandbox.files[0].file_id
        assert (await call(sandbox.url, "GET", "/v1/flow/files")).json["data"]


async def test_a_stalled_read_ends_in_a_reset() -> None:
    """`stall` stops reading for its seconds, then resets; nothing is stored."""
    async with rehearsal("stall:0.2") as sandbox:
        began = time.monotonic()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await exchange(sandbox.url, upload_request(upload_form(b"x" * 1_000_000)))
        assert time.monotonic() - began >= 0.2
    assert sandbox.files == ()
    assert sandbox.uploads[0].body_bytes < 1_000_000


@pytest.mark.parametrize("text", ["slow:200000", "read-rate=200000"])
async def test_slow_reading(text: str) -> None:
    """A body is read at the given bytes per second, by a step or for every upload."""
    async with rehearsal(text) as sandbox:
        began = time.monotonic()
        assert (await upload(sandbox.url, b"x" * 60_000)).status == 200
        assert 0.25 < time.monotonic() - began < 2


async def test_the_list_lags() -> None:
    """A new file is found by its id at once, and in the list only after the lag."""
    async with rehearsal("list-lag=0.3") as sandbox:
        file_id = (await upload(sandbox.url)).json["id"]
        assert (await call(sandbox.url, "GET", "/v1/flow/files")).json["data"] == []
        assert (await call(sandbox.url, "GET", f"/v1/flow/files/{file_id}")).status == 200
        await asyncio.sleep(0.35)
        assert len((await call(sandbox.url, "GET", "/v1/flow/files")).json["data"]) == 1


async def together(sandbox: Sandbox, count: int) -> list[Answer]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(upload(sandbox.url)) for _ in range(count)]
    return [task.result() for task in tasks]


async def test_max_in_flight() -> None:
    """Uploads beyond the limit get 429 without Retry-After, and the peak never exceeds the limit."""
    async with rehearsal("max-in-flight=3,answer-delay=0.2") as sandbox:
        answers = await together(sandbox, 8)
        assert (sandbox.peak_in_flight, sandbox.in_flight) == (3, 0)
    assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 5
    assert not any("retry-after" in answer.headers for answer in answers)
    assert sum(record.fault == "max-in-flight" for record in sandbox.uploads) == 5


async def test_rate() -> None:
    """Uploads beyond burst and rate get 429 with the whole seconds until the next is welcome."""
    async with rehearsal("rate=0.5,burst=2") as sandbox:
        answers = await together(sandbox, 4)
    assert sorted(answer.status for answer in answers) == [200, 200, 429, 429]
    assert {answer.headers.get("retry-after") for answer in answers if answer.status == 429} == {"2"}
    assert sum(record.fault == "rate" for record in sandbox.uploads) == 2


@pytest.mark.parametrize("preset", ["storm", "ambiguous", "liar", "harsh"])
async def test_every_storm_ends(preset: str) -> None:
    """Under a preset every file is answered soundly after at most as many faults as its budget."""
    faults = parse_faults(preset)
    async with rehearsal(f"{preset},list-lag=0,seed=3") as sandbox:
        for name in range(8):
            for _ in range(1 + (faults.fault_budget or 0)):
                try:
                    await asyncio.wait_for(upload(sandbox.url, filename=f"{name}.jsonl"), 3)
                except (ConnectionError, asyncio.IncompleteReadError, IndexError, ValueError):
                    continue
    names = [record.filename for record in sandbox.uploads if record.fault is None]
    assert {f"{name}.jsonl" for name in range(8)} <= set(names)


async def test_faults_can_be_changed_while_serving() -> None:
    """`use_faults` starts and ends a storm without a restart."""
    async with Sandbox() as sandbox:
        sandbox.use_faults(parse_faults("500@1"))
        assert (await upload(sandbox.url)).status == 500
        sandbox.use_faults(Faults())
        assert (await upload(sandbox.url)).status == 200
