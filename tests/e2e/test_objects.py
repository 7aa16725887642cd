"""Jobs whose files are objects, as processes: flat memory, and no second copy after a crash."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bulk_upload.sandbox.objects import (
    Bucket,
    MadeLines,
    MemoryBucket,
    ObjectFaults,
    ObjectStore,
    ObjectStoreConfig,
    object_store_in_thread,
    parse_object_faults,
)
from tests.e2e.stage import Stage, require_linux, staged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MIB = 1024 * 1024
PEAK_MIB_MAX = 120
"""As for files, with an HTTP client and threads of obstore in it."""

KEYS = {"PLAY_ID": "PLAYKEY", "PLAY_SECRET": "PLAYSECRET"}


@contextmanager
def objects_staged(folder: Path, contents: Mapping[str, MadeLines]) -> Iterator[tuple[Stage, ObjectStore]]:
    """A job whose manifest names these objects, and the store that has them."""
    buckets: dict[str, Bucket] = {"data": MemoryBucket(dict(contents))}
    with staged(folder) as stage, object_store_in_thread(ObjectStoreConfig(buckets=buckets)) as store:
        (folder / "bulk-upload.toml").write_text(
            f'[sources."s3://data"]\nendpoint = "{store.url}"\nregion = "us-east-1"\n'
            'access-key-variable = "PLAY_ID"\nsecret-key-variable = "PLAY_SECRET"\n'
        )
        stage.manifest.write_text(
            "".join(
                json.dumps({"path": f"s3://data/{key}", "purpose": "pre-train"}) + "\n" for key in contents
            )
        )
        yield stage, store


def test_a_large_object_needs_little_memory(tmp_path: Path) -> None:
    """An object of 96 MiB is validated and sent within little memory, in one request to its store."""
    require_linux()
    with objects_staged(tmp_path, {"large.jsonl": MadeLines(96 * MIB)}) as (stage, store):
        ended = stage.start_run(extra_env=KEYS).wait(120)
        peak_mib = ended.peak_kib / 1024
        print(f"\n96 MiB from a store: {ended.seconds:.1f} s, peak RSS {peak_mib:.0f} MiB")
        assert ended.code == 0
        assert [one.bytes for one in stage.sandbox.files] == [96 * MIB]
        assert store.counts.total() == 2
        assert 0 < peak_mib < PEAK_MIB_MAX


def test_killed_and_resumed(tmp_path: Path) -> None:
    """After a crash in mid-upload the next run sends what is missing, and nothing twice."""
    contents = {f"small-{number:02}.jsonl": MadeLines(2000, seed=f"small {number}") for number in range(40)}
    contents |= {f"large-{number}.jsonl": MadeLines(MIB, seed=f"large {number}") for number in range(6)}
    with objects_staged(tmp_path, contents) as (stage, store):
        store.use_faults(parse_object_faults("slow:50000@100%,slow:50000@/data/large-*"))
        process = stage.start_run("--settle", "2s", extra_env=KEYS)
        process.until(lambda: len(stage.sandbox.files) >= 5, "a few accepted files", timeout_s=60)
        process.kill()
        store.use_faults(ObjectFaults())
        ended = stage.start_run("--settle", "2s", extra_env=KEYS).wait(120)
        assert ended.code == 0, ended.stderr
        there = {one.filename: one.sha256 for one in stage.sandbox.files}
        assert len(stage.sandbox.files) == len(contents)
        for key, content in contents.items():
            whole = b"".join(content.chunks(0, content.size))
            assert there[key] == hashlib.sha256(whole).hexdigest()
        assert stage.start("verify", str(stage.ledger), extra_env=KEYS).wait().code == 0
