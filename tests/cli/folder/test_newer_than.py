"""`--newer-than`: a time, how long ago, or a file."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from bulk_upload.cli.folder.options import TimeOrFile

S = 1_000_000_000


def parsed(text: str) -> int:
    return TimeOrFile().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T18:00:00Z", datetime(2026, 1, 31, 18, tzinfo=UTC)),
        ("2026-01-31 18:00+02:00", datetime(2026, 1, 31, 16, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31).astimezone()),
        ("20260131", datetime(2026, 1, 31).astimezone()),
        ("2026-01-31 18:00", datetime(2026, 1, 31, 18).astimezone()),
    ],
)
def test_a_time(text: str, moment: datetime) -> None:
    """A time without a zone is the local one."""
    assert parsed(text) == round(moment.timestamp() * S)


@pytest.mark.parametrize(("text", "ago_s"), [("36h", 36 * 3600), ("1d12h", 36 * 3600), ("90s", 90)])
def test_how_long_ago(text: str, ago_s: int) -> None:
    """A duration counts back from now."""
    before = time.time_ns()
    found = parsed(text)
    assert before <= found + ago_s * S <= time.time_ns()


def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file stands for the time at which it was modified; one that is named like a time needs a slash."""
    monkeypatch.chdir(tmp_path)
    for name in ("stamp", "2026-01-31"):
        Path(name).touch()
        os.utime(name, ns=(7, 7))
    assert parsed("stamp") == 7
    assert parsed("./2026-01-31") == 7
    assert parsed("2026-01-31") > 7


@pytest.mark.parametrize("text", ["soon", "", "2026-13-01", "a\0b", "99999999999999"])
def test_neither(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is neither says what to write."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(click.BadParameter, match="neither a time nor a file"):
        parsed(text)
