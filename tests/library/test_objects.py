"""Objects from Python: a prefix or entries, with the settings of their store as an argument."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bulk_upload import ExitStatus, SourceOptions, UsageError, plan, upload
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.engine.fleet import crew
from bulk_upload.engine.fleet.shared_sender import SharedSender
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from bulk_upload.sandbox.objects import MemoryBucket, ObjectStoreConfig, object_store_in_thread
from tests.edge.objects.stage import options_of
from tests.engine.objects.stage import example
from tests.library.scenes import assert_nothing_goes_on
from tests.waiting import HANG_S


def test_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prefix is uploaded as a folder is, and single objects as entries; no thread is left that checked a large one."""
    monkeypatch.chdir(tmp_path)
    objects = {"chat/a.jsonl": example(1), "chat/b.jsonl": example(2), "more/c.jsonl": example(3) * 4000}
    config = ObjectStoreConfig(buckets={"data": MemoryBucket(objects)})
    with object_store_in_thread(config) as store, sandbox_in_thread() as server:
        ours: Any = {"api_key": "key", "base_url": server.url, "purpose": "fine-tune", "settle_s": 1}
        sources = [options_of(store)]
        assert plan("s3://data/chat", sources=sources, **ours).entry_count == 2
        result = upload("s3://data/chat", sources=sources, **ours)
        assert result.status is ExitStatus.DONE
        assert len(list(Path().glob("data-chat@*.ledger.db"))) == 1
        result = upload(["s3://data/more/c.jsonl"], ledger="c.db", sources=sources, **ours)
        assert result.status is ExitStatus.DONE
        assert sorted(one.filename for one in server.files) == ["a.jsonl", "b.jsonl", "c.jsonl"]
    assert_nothing_goes_on()


def test_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of this machine read objects by themselves, with the settings and credentials of the program."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(crew, "GATHER_S", HANG_S)
    # The command itself, which needs no environment for it, waits until the other process can do it.
    monkeypatch.setattr(
        SharedSender, "_until_shared", lambda self, *_: self._crew.until_joined(lambda: False)
    )
    objects = {f"chat/{number}.jsonl": example(number) for number in range(6)} | {
        "chat/l.jsonl": example(9) * 4000
    }
    config = ObjectStoreConfig(buckets={"data": MemoryBucket(objects)}, access_key="PLAYKEY")
    with object_store_in_thread(config) as store, sandbox_in_thread() as server:
        ours: Any = {"api_key": "key", "base_url": server.url, "purpose": "fine-tune", "settle_s": 1}
        result = upload("s3://data/chat", sources=[options_of(store)], processes=2, **ours)
        assert result.status is ExitStatus.DONE
        assert len(server.files) == 7
    with LedgerReader(str(result.ledger)) as reader:
        assert all(one.agent for one in reader.rows() if not one.path.endswith("/l.jsonl"))


def test_settings_of_a_wrong_type() -> None:
    """What is no list of settings is named before anything begins; a secret is never shown."""
    with pytest.raises(UsageError, match="sources is of the type str"):
        plan("s3://data/chat", api_key="key", purpose="fine-tune", sources="s3://data")  # type: ignore[arg-type]
    assert "SECRET" not in repr(
        SourceOptions(home="s3://b", secret_access_key="SECRET", bearer_token="SECRET")
    )


def test_bundles_of_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small objects go together in one request, as small files do, and again together after a wait."""
    monkeypatch.chdir(tmp_path)
    objects = {f"chat/{number}.jsonl": example(number) for number in range(6)}
    config = ObjectStoreConfig(buckets={"data": MemoryBucket(objects)})
    faults = SandboxConfig(faults=parse_faults("429:1"))
    with object_store_in_thread(config) as store, sandbox_in_thread(faults) as server:
        ours: Any = {"api_key": "key", "base_url": server.url, "purpose": "fine-tune", "bundle": 8}
        result = upload("s3://data/chat", sources=[options_of(store)], **ours)
        assert result.status is ExitStatus.DONE
        assert (server.upload_count, len(server.files)) == (2, 6)
