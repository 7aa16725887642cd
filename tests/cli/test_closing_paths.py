from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.stage import run_here


def _closing(ended_stderr: str) -> dict[str, str]:
    lines = [line.partition(": ") for line in ended_stderr.splitlines()]
    return {head: rest for head, _, rest in lines if head in ("Results", "Ledger")}


def test_ledger_and_results_are_named_as_the_manifest_was(desk: Path, server: str) -> None:
    """Whoever types a path from the current folder on gets such paths back; from the root on likewise."""
    port = server.rpartition(":")[2]
    stem = f"good@127.0.0.1-{port}"
    near = run_here("run", "good.jsonl", SEEKR_BASE_URL=server)
    assert _closing(near.stderr) == {"Results": f"{stem}.results.csv", "Ledger": f"{stem}.ledger.db"}
    far = run_here("run", str(desk / "good.jsonl"), SEEKR_BASE_URL=server)
    assert _closing(far.stderr)["Ledger"] == str(desk / f"{stem}.ledger.db")


def test_what_lies_elsewhere_keeps_its_whole_path(
    desk: Path, server: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """`../../` is no help to anybody."""
    ledger = tmp_path_factory.mktemp("elsewhere") / "l.ledger.db"
    ended = run_here("run", "good.jsonl", "--ledger", os.fspath(ledger), SEEKR_BASE_URL=server)
    assert _closing(ended.stderr)["Ledger"] == str(ledger)
