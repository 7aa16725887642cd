"""Large objects and many of them: memory, CPU beside files on disk, and what a million cost to plan.

By hand, about a quarter of an hour: pytest -n 0 -s -m soak tests/e2e/test_objects_soak.py
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from bulk_upload.sandbox.objects import (
    Bucket,
    MadeLines,
    MemoryBucket,
    NumberedBucket,
    ObjectStore,
    ObjectStoreConfig,
    RequestKind,
    object_store_in_thread,
)
from tests.e2e.stage import Ended, Process, require_linux, staged

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]

GIB = 1024**3
SMALL_COUNT = 2000
CONTENTS = {
    f"small-{number:04}.jsonl": MadeLines(260, seed=f"small {number}") for number in range(SMALL_COUNT)
}
CONTENTS |= {f"large-{number}.jsonl": MadeLines(GIB, seed=f"large {number}") for number in range(2)}
MANY = 1_000_000
KEYS = {"AWS_ACCESS_KEY_ID": "PLAYKEY", "AWS_SECRET_ACCESS_KEY": "PLAYSECRET", "AWS_REGION": "us-east-1"}
LIMIT_S = 3600.0
GROWTH_KIB_MAX = 16 * 1024
MORE_KIB_MAX = 96 * 1024
"""What obstore and its buffers take beside what files take, whatever the size of the objects: 64 MiB were seen."""

ALONE = f"""
import asyncio, os, sys
from obstore.store import S3Store

async def main():
    store = S3Store("data", endpoint=sys.argv[1], client_options={{"allow_http": True, "timeout": "1 hour"}})
    for number in range(2):
        answer = await store.get_async(f"large-{{number}}.jsonl")
        async for _ in answer.stream({1024 * 1024}):
            pass

asyncio.run(main())
os._exit(0)
"""
"""obstore and nothing else: what no caller of it can do without."""


class Cost(NamedTuple):
    """What a command took."""

    ended: Ended
    cpu_s: float

    def __str__(self) -> str:
        peak_mib = self.ended.peak_kib / 1024
        return f"{self.ended.seconds:.0f} s, CPU {self.cpu_s:.1f} s, peak RSS {peak_mib:.0f} MiB"


def children_cpu_s() -> float:
    """Return the CPU time of all processes that this one has started and collected."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cost_of(start: Callable[[], Process]) -> Cost:
    """Run a command to its end, as a process of its own."""
    before_s = children_cpu_s()
    ended = start().wait(LIMIT_S)
    assert ended.code == 0, ended.stderr
    return Cost(ended, children_cpu_s() - before_s)


def alone_cpu_s(store: ObjectStore) -> float:
    """Return what obstore takes to read the large objects, without hashing or sending them."""
    before_s = children_cpu_s()
    subprocess.run([sys.executable, "-c", ALONE, store.url], env=os.environ | KEYS, check=True)
    return children_cpu_s() - before_s


def line(path: str) -> str:
    """Return a line of a manifest."""
    return json.dumps({"path": path, "purpose": "pre-train"}) + "\n"


def test_large_objects_beside_files(tmp_path: Path) -> None:
    """2,000 small objects and two of a GiB take the memory of files, and 1.3 times the CPU of the same files on disk,
    beside what obstore takes by itself."""
    require_linux()
    (tmp_path / "disk").mkdir()
    buckets: dict[str, Bucket] = {"data": MemoryBucket(dict(CONTENTS))}
    with (
        staged(tmp_path / "objects") as stage,
        object_store_in_thread(ObjectStoreConfig(buckets=buckets)) as store,
    ):
        env = KEYS | {"AWS_ENDPOINT": store.url}
        stage.manifest.write_text("".join(line(f"s3://data/{key}") for key in CONTENTS))
        objects = cost_of(lambda: stage.start_run(extra_env=env))
        assert store.counts[RequestKind.GET] == len(CONTENTS)
        assert store.counts[RequestKind.HEAD] == 0
        of_objects = {one.filename: one.sha256 for one in stage.sandbox.files}
        alone_s = alone_cpu_s(store)
    with staged(tmp_path / "disk") as stage:
        for key, content in CONTENTS.items():
            with (stage.folder / key).open("wb") as file:
                file.writelines(content.chunks(0, content.size))
        stage.manifest.write_text("".join(line(key) for key in CONTENTS))
        files = cost_of(lambda: stage.start_run(extra_env=KEYS))
        assert {one.filename: one.sha256 for one in stage.sandbox.files} == of_objects
    print(f"\nfrom the store: {objects}\nfrom disk: {files}\nobstore alone: CPU {alone_s:.1f} s for 2 GiB")
    assert objects.ended.peak_kib < files.ended.peak_kib + MORE_KIB_MAX
    assert objects.cpu_s < 1.3 * files.cpu_s + alone_s


def planned(folder: Path, count: int) -> tuple[int, int]:
    """List and plan so many objects, and return what memory each took."""
    buckets: dict[str, Bucket] = {"many": NumberedBucket(count, prefix="part/")}
    with staged(folder) as stage, object_store_in_thread(ObjectStoreConfig(buckets=buckets)) as store:
        env = KEYS | {"AWS_ENDPOINT": store.url}
        words = ("scan", "s3://many/part", "--purpose", "pre-train", "-o", str(stage.manifest))
        scan = cost_of(lambda: stage.start(*words, extra_env=env))
        lists = store.counts[RequestKind.LIST]
        plan = cost_of(lambda: stage.start("plan", str(stage.manifest), extra_env=env))
        more_lists = store.counts[RequestKind.LIST] - lists
        print(f"\n{count} objects: scan {scan}, {lists} lists\nplan {plan}, {more_lists} lists")
        assert lists <= count // 1000 + 1
        assert more_lists <= count // 1000 + 2
        assert store.counts[RequestKind.HEAD] == 0
        return scan.ended.peak_kib, plan.ended.peak_kib


def test_a_million_objects_are_planned_by_lists(tmp_path: Path) -> None:
    """A million objects are listed to a manifest, and planned, in a thousand requests each and without a HEAD; the memory
    of ten times as many is hardly more."""
    require_linux()
    few = planned(tmp_path / "few", MANY // 10)
    many = planned(tmp_path / "many", MANY)
    assert max(many) < max(few) + GROWTH_KIB_MAX
