"""Files that are packed, and what `ledger export --members` must say of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from bulk_upload.sandbox import Sandbox
from tests.cli.stage import Ended, run_here

TEXT = '{"text": "%s"}\n'
CHAT = '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "a"}]}\n'


def write(files: dict[str, str], *, purpose: str = "pre-train") -> None:
    """Write data files and their manifest."""
    for name, text in files.items():
        Path("data", name).write_bytes(text.encode())
    lines = [json.dumps({"path": f"data/{name}", "purpose": purpose}) for name in files]
    Path("manifest.jsonl").write_text("\n".join(lines) + "\n")


def pack(*options: str) -> Ended:
    return run_here("pack", "manifest.jsonl", "-o", "packed", *options)


def packed(*options: str) -> dict[str, Any]:
    """Pack, and return the summary."""
    ended = pack("--json", *options)
    assert ended.status == 0, ended.text
    return dict(json.loads(ended.stdout))


def members() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("packed/members.jsonl").read_text().splitlines()]


def uploaded(store: Sandbox) -> None:
    ended = run_here("run", "packed/manifest.jsonl", SEEKR_BASE_URL=store.url)
    assert ended.status == 0, ended.text


def exported() -> list[dict[str, Any]]:
    ended = run_here(
        "ledger", "export", "packed/manifest.jsonl", "--members", "packed/members.jsonl", "--json"
    )
    assert ended.status == 0, ended.text
    return [json.loads(line) for line in ended.stdout.splitlines()]


def require_truth(store: Sandbox, count: int) -> None:
    """The export has every file of the manifest once, and the server has its lines where the export says."""
    folder = store.config.directory
    assert folder is not None
    rows = exported()
    paths = [json.loads(line)["path"] for line in Path("manifest.jsonl").read_text().splitlines()]
    assert sorted(row["path"] for row in rows) == sorted(paths)
    assert len(rows) == count
    lines: dict[str, list[bytes]] = {}
    for row in rows:
        assert row["status"] == "accepted"
        if row["file_id"] not in lines:
            lines[row["file_id"]] = Path(folder, row["file_id"]).read_bytes().splitlines(keepends=True)
        data = Path(row["path"]).read_bytes()
        start = row["first_line"] - 1
        assert lines[row["file_id"]][start : start + row["lines"]] == data.splitlines(keepends=True)
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
