from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from bulk_upload.cli.output import metrics_file
from bulk_upload.cli.output.metrics_file import MetricsFile
from bulk_upload.core.events import Snapshot
from bulk_upload.core.report.tally import Tally
from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import run_here

STANDING = Snapshot(
    in_flight=0, limit=1, limit_reason="", pause_s=0.0, parked_count=0, wire_bytes=0, partial_bytes=0
)


def _file(path: Path) -> MetricsFile:
    return MetricsFile(str(path), "no.ledger.db", Tally, lambda: STANDING)


def test_a_success_is_remembered_by_the_runs_that_fail(tmp_path: Path) -> None:
    """Only exit code 0 moves the time of the last success; a later failure keeps it."""
    path = tmp_path / "m.prom"
    _file(path).close(ExitStatus.DONE)
    (good,) = [line for line in path.read_text().splitlines() if line.startswith("bulk_upload_last_success")]
    _file(path).close(ExitStatus.IN_DOUBT)
    assert good in path.read_text()
    assert "bulk_upload_exit_code{" in path.read_text()


def test_a_run_that_cannot_begin_has_an_exit_code_too(tmp_path: Path) -> None:
    """A manifest that is wrong is seen in the metrics, not only by whoever reads stderr."""
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"path": "missing", "purpose": "pre-train"}\n')
    ended = run_here("run", str(manifest), "--metrics-file", str(tmp_path / "m.prom"))
    assert ended.status == 10
    text = (tmp_path / "m.prom").read_text()
    assert 'bulk_upload_exit_code{ledger="' in text
    assert any(
        line.startswith("bulk_upload_exit_code") and line.endswith(" 10") for line in text.splitlines()
    )
    assert "bulk_upload_run_in_progress" in text


def test_metrics_that_cannot_be_written_end_the_run_before_its_work(tmp_path: Path) -> None:
    """A typo in the path is found at once, not in the morning."""
    (tmp_path / "m.jsonl").write_text("")
    ended = run_here("run", str(tmp_path / "m.jsonl"), "--metrics-file", str(tmp_path / "no" / "m.prom"))
    assert ended.status == 2
    assert "cannot write metrics" in ended.stderr


async def test_the_file_is_kept_while_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each period it is written anew with what the numbers are then."""
    monkeypatch.setattr(metrics_file, "METRICS_EVERY_S", 0.0)
    path = tmp_path / "m.prom"
    tally = Tally()
    metrics = MetricsFile(str(path), "no.ledger.db", lambda: tally, lambda: STANDING)
    tally.attempt_count = 7
    with anyio.move_on_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(metrics.keep)
            while 'bulk_upload_attempts_total{ledger="no.ledger.db"} 7' not in path.read_text():
                await anyio.sleep(0)
            tasks.cancel_scope.cancel()
    assert 'attempts_total{ledger="no.ledger.db"} 7' in path.read_text()
