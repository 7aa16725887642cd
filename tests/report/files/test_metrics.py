from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.model import EntryState, Throttled
from bulk_upload.core.report.tally import Tally
from bulk_upload.report.files.metrics import (
    METRICS,
    METRICS_EVERY_S,
    RunNumbers,
    last_success_in,
    metrics_text,
    save_metrics,
)
from tests.report.scripted_run import FILE_BYTES, LOST, ScriptedRun, ended, plan, settled, started

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "metrics.md").read_text("utf-8")
SAMPLE = re.compile(r'^([a-z_]+)\{ledger="((?:[^"\\\n]|\\.)*)"(?:,([a-z_]+)="([^"]*)")?\} (-?[0-9.e+-]+)$')


def _numbers(**more: Any) -> RunNumbers:
    tally = Tally()
    for event in (
        plan(4), started("a"), ended("a", Throttled(http_status=429, retry_after_s=1.0), retry_in_s=1.0),
        started("a", attempt_no=2), ended("a"), settled("a"), started("b"), ended("b", LOST),
        settled("c", EntryState.REJECTED, reason="no"),
    ):  # fmt: skip
        tally.add(event)
    run = ScriptedRun()
    run.moves(in_flight=3, wire_bytes=3 * FILE_BYTES, parked_count=2, pause_s=1.5)
    numbers = RunNumbers(
        version="1.0", ledger="/d/m.ledger.db", tally=tally, snapshot=run.snapshot(),
        states={EntryState.ACCEPTED: 1, EntryState.IN_DOUBT: 1}, started_utc_s=1.78e9, duration_s=12.5, exit_code=4,
        last_success_utc_s=1.77e9,
    )  # fmt: skip
    return replace(numbers, **more)


def _samples(text: str) -> dict[str, float]:
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = SAMPLE.match(line)
            assert match is not None, line
            found[match[1] + (f"/{match[4]}" if match[4] else "")] = float(match[5])
    return found


def test_the_file_has_every_number_of_the_run() -> None:
    """Each metric has its value, by name and label."""
    samples = _samples(metrics_text(_numbers()))
    assert {one.partition("/")[0] for one in samples} == {one.name for one in METRICS}
    for name, value in {
        "info/1.0": 1, "exit_code": 4, "run_in_progress": 0, "run_duration_seconds": 12.5, "entries/accepted": 1,
        "entries/in_doubt": 1, "entries/pending": 0, "files_total": 1, "bytes_total": FILE_BYTES,
        "wire_bytes_total": 3 * FILE_BYTES, "attempts_total": 3, "retries_total": 1, "throttled_total": 1,
        "lost_answers_total": 1, "failed_entries": 1, "in_doubt_entries": 1, "in_flight": 3, "in_flight_limit": 8,
        "parked_entries": 2, "pause_seconds": 1.5, "planned_entries": 4, "last_success_timestamp_seconds": 1.77e9,
        "planned_bytes": 4 * FILE_BYTES, "run_start_timestamp_seconds": 1.78e9,
    }.items():  # fmt: skip
        assert samples[f"bulk_upload_{name}"] == value, name


def test_what_nobody_knows_is_left_out() -> None:
    """While a run goes on it has no exit code; a ledger that cannot be read has no entries, not 0 of them."""
    samples = _samples(metrics_text(_numbers(exit_code=None, states=None, last_success_utc_s=None)))
    assert samples["bulk_upload_run_in_progress"] == 1
    assert not [
        one
        for one in samples
        if one.startswith(("bulk_upload_exit", "bulk_upload_entries", "bulk_upload_last"))
    ]


@given(st.text(min_size=1))
def test_a_ledger_of_any_name_is_one_label(name: str) -> None:
    """Quotes, backslashes and newlines of a path neither end the label nor the line."""
    text = metrics_text(_numbers(ledger=name))
    assert len(_samples(text)) == len(_samples(metrics_text(_numbers())))


def test_names_follow_the_conventions() -> None:
    """Counters end in _total, nothing else does, and no name is used twice."""
    assert all(one.name.endswith("_total") == (one.kind == "counter") for one in METRICS)
    assert len({one.name for one in METRICS}) == len(METRICS)
    assert all(re.fullmatch("bulk_upload_[a-z_]+", one.name) for one in METRICS)


def test_the_last_success_is_carried_from_run_to_run(tmp_path: Path) -> None:
    """The next run finds it in the file of the one before."""
    path = tmp_path / "m.prom"
    save_metrics(str(path), _numbers())
    assert last_success_in(path.read_text()) == 1.77e9
    assert [one.name for one in tmp_path.iterdir()] == ["m.prom"]


@pytest.mark.parametrize("text", ["", "junk", "bulk_upload_last_success_timestamp_seconds{} 1.2.3\n"])
def test_a_file_without_a_last_success_has_none(text: str) -> None:
    """Whatever lies there, it is no reason to fail."""
    assert last_success_in(text) is None


def test_the_page_names_exactly_the_metrics() -> None:
    """Each with its type and its meaning, in the order of the file."""
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \| (.*) \|$", PAGE, re.MULTILINE)
    assert rows == [(one.name, one.kind, one.meaning) for one in METRICS]
    assert f"every {METRICS_EVERY_S:.0f} seconds" in PAGE
    for name in re.findall(r"bulk_upload_[a-z_]+", PAGE):
        assert name in {one.name for one in METRICS}
