from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.stage import run_here
from tests.report.told_ledger import tell_ledger


def _report(tmp_path: Path, *options: str, entries: int = 300) -> str:
    ledger = tmp_path / "m.ledger.db"
    if not ledger.exists():
        tell_ledger(str(ledger), entries)
    ended = run_here("report", str(ledger), *options)
    assert ended.status == 0, ended.stderr
    return ended.stderr


def test_the_page_has_every_entry_of_the_ledger(tmp_path: Path) -> None:
    """The states in the headline add up, and each entry is a row of one of the two tables."""
    ledger = tmp_path / "m.ledger.db"
    told = tell_ledger(str(ledger), 300)
    assert "Report: " in _report(tmp_path)
    text = (tmp_path / "m.report.html").read_text("utf-8")
    counts = {
        name: sum(
            len(json.loads(one)) for one in re.findall(rf'data-rows="{name}">(.*?)</script>', text, re.DOTALL)
        )
        for name in ("accepted", "others")
    }
    assert counts == {"accepted": told.states["accepted"], "others": 300 - told.states["accepted"]}
    assert f"{told.states['accepted']} of 300 entries are accepted" in text
    assert f"{told.attempt_count:,}" in text


def test_the_page_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    """It is written beside its name and renamed: nothing else is left, and an old page is replaced."""
    (tmp_path / "r.html").write_text("old")
    _report(tmp_path, "-o", str(tmp_path / "r.html"))
    assert (tmp_path / "r.html").read_text("utf-8").startswith("<!doctype html>")
    assert {one.name for one in tmp_path.iterdir()} == {"m.ledger.db", "r.html"}


def test_standard_output_gets_the_page_and_nothing_else(tmp_path: Path) -> None:
    """With -o - the page is data."""
    tell_ledger(str(tmp_path / "m.ledger.db"), 10)
    ended = run_here("report", str(tmp_path / "m.ledger.db"), "-o", "-")
    assert (ended.status, ended.stderr) == (0, "")
    assert ended.stdout.endswith(b"</html>\n")


def test_a_page_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    """The complaint names the file and what to do."""
    tell_ledger(str(tmp_path / "m.ledger.db"), 10)
    ended = run_here("report", str(tmp_path / "m.ledger.db"), "-o", str(tmp_path / "no" / "r.html"))
    assert ended.status == 2
    assert "cannot write" in ended.stderr
    assert "-o" in ended.stderr


@pytest.mark.parametrize("name", ["missing.ledger.db", "m.jsonl"])
def test_what_is_no_ledger_has_no_page(tmp_path: Path, name: str) -> None:
    """The exit code is that of a ledger that cannot be used."""
    (tmp_path / "m.jsonl").write_text("{}")
    assert run_here("report", str(tmp_path / name)).status == 11
    assert not list(tmp_path.glob("*.html"))
