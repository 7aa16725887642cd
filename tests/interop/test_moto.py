"""moto, an S3 that others wrote, as a source: see docs/explanation/interop.md."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from obstore.store import S3Store

from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.folder.sightings import FolderRequest
from bulk_upload.core.model import Entry
from bulk_upload.core.objects.options import SourceOptions
from bulk_upload.core.run.job import Job
from bulk_upload.exit_status import ExitStatus
from bulk_upload.job_plan import JobPlanner
from bulk_upload.sandbox import Sandbox
from bulk_upload.sandbox.objects import MadeLines
from tests.e2e.stage import holds_within, staged
from tests.engine.objects.stage import example, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.interop

SMALL_COUNT = 2000
LARGE = "".join(map(example, range(100_000))).encode()
"""More than the 5 MiB from which on it is put in parts: its tag is then no hash of the content."""

GIB = 1024**3
PEAK_KIB_MAX = 200 * 1024


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    python = os.environ.get("MOTO_PYTHON")
    if python is None:
        pytest.skip("MOTO_PYTHON names no Python with moto[server]: see docs/explanation/interop.md")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=out, stderr=out
        )
    try:
        assert holds_within(60, lambda: _answers(address)), log.read_text()
        yield address
    finally:
        server.kill()
        server.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/moto-api/data.json", timeout=60):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


def options(url: str) -> SourceOptions:
    return SourceOptions(
        home="s3://", endpoint=url, region="us-east-1", access_key_id="key", secret_access_key="secret"
    )


@pytest.fixture(scope="module")
def bucket(url: str) -> S3Store:
    """A bucket with many small objects and a large one."""
    request = urllib.request.Request(f"{url}/data", method="PUT")
    with urllib.request.urlopen(request, timeout=60):
        pass
    store = S3Store(
        "data",
        endpoint=url,
        region="us-east-1",
        access_key_id="key",
        secret_access_key="secret",
        client_options={"allow_http": True},
    )
    for number in range(SMALL_COUNT):
        store.put(f"small/{number:04}.jsonl", example(number).encode())
    store.put("odd/é +%20~.jsonl", example(1).encode())
    store.put("large.jsonl", LARGE, use_multipart=True)
    return store


@pytest.fixture
async def server() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


@pytest.mark.timeout(600)
async def test_from_moto(tmp_path: Path, url: str, bucket: S3Store, server: Sandbox) -> None:
    """All objects arrive whole; written again with the same bytes they are not sent again, with others they are."""
    paths = [
        *(f"s3://data/small/{number:04}.jsonl" for number in range(SMALL_COUNT)),
        "s3://data/odd/é +%20~.jsonl",
        "s3://data/large.jsonl",
    ]
    job = Job(
        entries=[Entry(path=path, purpose="fine-tune") for path in paths],
        ledger=tmp_path / "a.db",
        root=tmp_path,
        sources=[options(url)],
    )
    assert (await run(job, server)).status is ExitStatus.DONE
    expected = [hashlib.sha256(example(number).encode()).hexdigest() for number in range(SMALL_COUNT)]
    expected += [expected[1], hashlib.sha256(LARGE).hexdigest()]
    assert sorted(one.sha256 for one in server.files) == sorted(expected)

    bucket.put("large.jsonl", LARGE)
    bucket.put("small/0000.jsonl", example(0).encode())
    bucket.put("small/0001.jsonl", example(70_000).encode())
    assert (await run(job, server)).status is ExitStatus.DONE
    assert len(server.files) == len(paths) + 1

    bucket.delete("small/0002.jsonl")
    assert (await run(job, server)).status is ExitStatus.DONE
    assert len(server.files) == len(paths) + 1


@pytest.mark.timeout(600)
def test_list_of_moto(tmp_path: Path, url: str, bucket: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prefix lists what is beneath it, whatever its size and its names are."""
    monkeypatch.chdir(tmp_path)
    planner = JobPlanner(Connection(endpoint=FLOW.base_url, profile=FLOW))
    for prefix, at_least in (
        ("s3://data/odd", 1),
        ("s3://data/small", SMALL_COUNT - 1),
        ("s3://data", SMALL_COUNT),
    ):
        folder = planner.folder_job(
            Job(sources=[options(url)]), FolderRequest(paths=(prefix,), purpose="fine-tune")
        )
        with planner.listing(folder) as listing:
            assert listing.entry_count >= at_least


@pytest.mark.timeout(1200)
def test_objects_of_a_gib_take_little_memory(tmp_path: Path, url: str, bucket: S3Store) -> None:
    """Two objects of a GiB arrive whole, and most of them is never in memory."""
    paths = {}
    for number in range(2):
        content = MadeLines(GIB, seed=f"large {number}")
        bucket.put(f"huge-{number}.jsonl", content.chunks(0, content.size), use_multipart=True)
        digest = hashlib.sha256()
        for chunk in content.chunks(0, content.size):
            digest.update(chunk)
        paths[f"huge-{number}.jsonl"] = digest.hexdigest()
    store = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    with staged(tmp_path) as stage:
        stage.manifest.write_text(
            "".join(json.dumps({"path": f"s3://data/{key}", "purpose": "pre-train"}) + "\n" for key in paths)
        )
        ended = stage.start_run(extra_env=store | {"AWS_ENDPOINT": url}).wait(1000)
        assert ended.code == 0, ended.stderr
        assert {one.filename: one.sha256 for one in stage.sandbox.files} == paths
    print(f"\n2 x 1 GiB from moto: {ended.seconds:.0f} s, peak RSS {ended.peak_kib / 1024:.0f} MiB")
    assert ended.peak_kib < PEAK_KIB_MAX
