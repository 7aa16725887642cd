"""The server of the benchmarks: what it counts is what was sent."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from bulk_upload import ConfirmMode, ExitStatus, Job, RunSettings, upload
from measuring.compiled import NoCompiler, compiled
from measuring.file_sets import name_sum
from servers.sink import SOURCE, Sink

KEY = "benchmark"
BOUNDARY = "sink-test"


@pytest.fixture(autouse=True)
def _built() -> None:
    if sys.platform != "linux":
        pytest.skip("the sink uses epoll")
    try:
        compiled(SOURCE)
    except NoCompiler:
        pytest.skip("there is no C compiler")


def form(name: str, content: bytes, *, after: bytes = b"") -> bytes:
    """Return a body with a purpose, a file, and what `after` adds."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\npre-train\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    )
    return head.encode() + content + after + f"\r\n--{BOUNDARY}--\r\n".encode()


def request(body: bytes) -> bytes:
    """Return a whole request."""
    return (
        f"PUT /v1/flow/files HTTP/1.1\r\nHost: sink\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    ).encode() + body


def exchange(sink: Sink, *pieces: bytes) -> tuple[int, Any]:
    """Send the pieces of one request and return its answer."""
    with socket.create_connection(("127.0.0.1", sink.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize(
    "file_bytes", [0, 1, 1023, 1024, 1025, 65_000, 65_536, 66_300, 66_400, 66_560, 1_000_000]
)
def test_every_size_is_told_as_it_was_sent(file_bytes: int) -> None:
    """The sink reads only the ends of a body, and still knows how long its file was."""
    with Sink() as sink:
        status, told = exchange(sink, request(form("a b.jsonl", bytes(file_bytes))))
        counts = sink.finish()
    assert status == 200
    assert (told["bytes"], told["filename"], told["purpose"]) == (file_bytes, "a b.jsonl", "pre-train")
    assert (counts.accepted, counts.file_bytes, counts.malformed, counts.broken) == (1, file_bytes, 0, 0)
    assert counts.name_sum == name_sum(["a b.jsonl"])


def test_a_body_in_small_pieces_is_the_same_body() -> None:
    """Where the network cuts a request makes no difference."""
    whole = request(form("cut.jsonl", os.urandom(70_000)))
    ends = [whole[start : start + 7] for start in range(0, 400, 7)]
    with Sink() as sink:
        status, told = exchange(
            sink, *ends, whole[406:-300], *(whole[-300:][at : at + 1] for at in range(300))
        )
    assert (status, told["bytes"], told["filename"]) == (200, 70_000, "cut.jsonl")


def test_a_part_after_the_file_is_not_of_the_file() -> None:
    """The first boundary after the file ends it, not the last."""
    after = f'\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nx'.encode()
    for file_bytes in (10, 200_000):
        with Sink() as sink:
            _, told = exchange(sink, request(form("first.jsonl", bytes(file_bytes), after=after)))
        assert told["bytes"] == file_bytes


def bundle(names_and_sizes: dict[str, int]) -> bytes:
    """Return a request with several files."""
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\npre-train'.encode()]
    for name, size in names_and_sizes.items():
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        parts.append(head.encode() + os.urandom(size))
    body = b"\r\n".join([*parts, f"--{BOUNDARY}--\r\n".encode()])
    return request(body).replace(b"/v1/flow/files", b"/v1/flow/bulk_files", 1)


@pytest.mark.parametrize("count", [1, 3, 500])
def test_several_files_are_counted_apart(count: int) -> None:
    """A request with several files is one, and every file of it is counted and told as it was sent."""
    sizes = {f"{number}.jsonl": number * 997 % 9000 for number in range(count)}
    with Sink() as sink:
        status, told = exchange(sink, bundle(sizes))
        counts = sink.finish()
    assert status == 200
    assert {one["filename"]: one["bytes"] for one in told} == sizes
    assert len({one["id"] for one in told}) == count
    assert (counts.uploads, counts.accepted, counts.file_bytes) == (1, count, sum(sizes.values()))
    assert (counts.name_sum, counts.malformed) == (name_sum(list(sizes)), 0)


def test_several_files_in_small_pieces() -> None:
    """Where the network cuts a request with several files makes no difference."""
    whole = bundle({"a.jsonl": 100, "b.jsonl": 0, "c.jsonl": 50})
    with Sink() as sink:
        status, told = exchange(sink, *(whole[at : at + 3] for at in range(0, len(whole), 3)))
    assert status == 200
    assert [one["bytes"] for one in told] == [100, 0, 50]


def test_a_body_without_its_end_is_malformed() -> None:
    """A body that is not a whole form is refused, and counted as what it is."""
    with Sink() as sink:
        status, _ = exchange(sink, request(form("cut.jsonl", bytes(5000))[:-20]))
        counts = sink.finish()
    assert (status, counts.accepted, counts.malformed) == (400, 0, 1)


def test_the_burst_is_taken_and_the_rest_refused() -> None:
    """Above the rate an upload gets 429 and is not counted as a file."""
    with Sink(rate_per_s=1e-6, burst=2) as sink:
        statuses = [exchange(sink, request(form(f"{number}", b"x")))[0] for number in range(3)]
        counts = sink.finish()
    assert statuses == [200, 200, 429]
    assert (counts.uploads, counts.accepted, counts.refused, counts.file_bytes) == (3, 2, 1, 2)


def test_what_bulk_upload_sends_arrives_whole(tmp_path: Path) -> None:
    """Three files, small, middling and large: the sink counts each once, and what it keeps is what was on disk."""
    kept = tmp_path / "kept"
    kept.mkdir()
    sizes = {"small.bin": 17, "middling.bin": 300_000, "large.bin": 3_000_000}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(os.urandom(size))
    manifest = tmp_path / "job.jsonl"
    manifest.write_text("".join(f'{{"path": "{name}", "purpose": "alignment"}}\n' for name in sizes))
    with Sink(keep=str(kept), latency_s=0.001) as sink:
        result = upload(
            Job(manifest=str(manifest)),
            api_key=KEY,
            base_url=sink.url,
            settings=RunSettings(concurrency=2, confirm=ConfirmMode.OFF),
        )
        counts = sink.finish()
    assert result.status is ExitStatus.DONE
    assert (counts.accepted, counts.uploads, counts.file_bytes) == (3, 3, sum(sizes.values()))
    assert (counts.malformed, counts.broken, counts.name_sum) == (0, 0, name_sum(list(sizes)))
    assert counts.open_max <= 2
    assert hashes(kept) == hashes(tmp_path, suffix=".bin")


def hashes(folder: Path, *, suffix: str = "") -> set[str]:
    """Return the hash of each file in a folder."""
    return {
        hashlib.sha256(one.read_bytes()).hexdigest() for one in folder.iterdir() if one.name.endswith(suffix)
    }
