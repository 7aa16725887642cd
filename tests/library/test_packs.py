"""Packs from a program: packed, sent, mapped to ids, and brought back, also beside a running event loop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_upload import ManifestInvalid, UsageError, pack, read_members, unpack, upload
from bulk_upload.sandbox import Sandbox, SandboxConfig, sandbox_in_thread


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(SandboxConfig(keys=("key",))) as running:
        yield running


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest of five files."""
    lines = []
    for number in range(5):
        (tmp_path / f"{number}.jsonl").write_text(f'{{"text": "Record {number}."}}\n')
        lines.append(json.dumps({"path": f"{number}.jsonl", "purpose": "pre-train"}))
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


async def test_there_and_back(manifest: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    """Every file has the id of its pack and comes back; a second call has nothing to do."""
    packed = pack(manifest, tmp_path / "packed", size=60)
    assert (packed.member_count, len(packed.made), packed.kept_count) == (5, 3, 0)
    result = upload(packed.manifest, api_key="key", base_url=sandbox.url)
    result.raise_for_status()
    rows = read_members(result.ledger, packed.members)
    assert [row["path"] for row in rows] == [f"{number}.jsonl" for number in range(5)]
    assert {row["file_id"] for row in rows} == {one.file_id for one in sandbox.files}
    assert pack(manifest, tmp_path / "packed", size=60).kept_count == 3
    assert unpack(tmp_path / "packed", tmp_path / "restored") == ()
    for number in range(5):
        restored = tmp_path / "restored" / f"{number}.jsonl"
        assert restored.read_bytes() == (tmp_path / f"{number}.jsonl").read_bytes()


def test_what_does_not_come_back(manifest: Path, tmp_path: Path) -> None:
    """A damaged pack is a value, not an exception; a place that cannot be written to is one."""
    packed = pack(manifest, tmp_path / "packed")
    (path,) = (tmp_path / "packed" / name for name in packed.made)
    path.write_bytes(path.read_bytes().replace(b"Record 3", b"Record X"))
    assert [one.name for one in unpack(tmp_path / "packed")] == ["3.jsonl", path.name]
    with pytest.raises(UsageError, match="nothing can be written"):
        unpack(tmp_path / "packed", manifest)


def test_what_cannot_be_packed(manifest: Path, tmp_path: Path) -> None:
    """The findings name the lines of files and of the manifest, and nothing is written."""
    (tmp_path / "3.jsonl").write_text('{"text": "a"}\nnot JSON\n')
    with manifest.open("a") as lines:
        lines.write('{"path": "none.jsonl", "purpose": "pre-train"}\n')
    with pytest.raises(ManifestInvalid, match="2 problems; nothing was packed") as found:
        pack(manifest, tmp_path / "packed")
    assert {(one.line_no, one.rule) for one in found.value.findings} == {(2, "bad-json"), (6, "missing-file")}
    assert not (tmp_path / "packed").exists()


@pytest.mark.parametrize("size", [0, -1])
def test_no_size(manifest: Path, tmp_path: Path, size: int) -> None:
    """A pack holds something."""
    with pytest.raises(UsageError, match="no bytes"):
        pack(manifest, tmp_path / "packed", size=size)


def test_objects(manifest: Path, tmp_path: Path) -> None:
    """Neither manifest nor folder is in a store."""
    with pytest.raises(UsageError, match="packs are made of files on this machine"):
        pack("s3://data/manifest.jsonl", tmp_path / "packed")
    with pytest.raises(UsageError, match="written on this machine only"):
        pack(manifest, "s3://data/packed")
