"""A server that allows little: many uploads at once are slowed to what it allows, and none is lost for it.

The long version: pytest -n 0 -s -m soak tests/hazards/test_narrow_server.py
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from bulk_upload import ExitStatus, Job, Uploader
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread


def uploads_needed(folder: Path, *, count: int, rate_per_s: int) -> float:
    """Run a job against such a server and return how many requests a file took."""
    for number in range(count):
        (folder / f"{number}.jsonl").write_text(f'{{"text": "{number}"}}\n')
    manifest = folder / "m.jsonl"
    lines = [json.dumps({"path": f"{number}.jsonl", "purpose": "pre-train"}) for number in range(count)]
    manifest.write_text("\n".join(lines))
    config = SandboxConfig(faults=parse_faults(f"max-in-flight=4,rate={rate_per_s},answer-delay=0.02"))

    async def run(url: str) -> ExitStatus:
        async with Uploader(api_key="k", base_url=url) as up:
            return (await up.run(Job(manifest=str(manifest)))).status

    with sandbox_in_thread(config) as sandbox:
        assert asyncio.run(run(sandbox.url)) is ExitStatus.DONE
        copies = Counter(file.sha256 for file in sandbox.files)
        assert len(copies) == count
        assert set(copies.values()) == {1}
        return len(sandbox.uploads) / count


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_many_uploads_at_a_narrow_server(tmp_path: Path) -> None:
    """Where 4 are allowed at once and 5 a second: 300 files, none failed, at most 1.2 requests each."""
    needed = uploads_needed(tmp_path, count=300, rate_per_s=5)
    print(f"\n{needed:.2f} requests a file")
    assert needed <= 1.2
