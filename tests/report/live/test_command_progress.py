from __future__ import annotations

from pathlib import Path
from typing import Any

from bulk_upload.report.live.command_progress import CommandProgress, HeadwayLine


class _Clock:
    def __init__(self) -> None:
        self.at = 50.0
        self.now = CommandProgress(
            doing="validating", count=0, total=100, byte_count=0, byte_total=1_000_000_000
        )

    def line(self) -> HeadwayLine:
        return HeadwayLine(lambda: self.now, lambda: self.at)


def _validated(count: int, *, byte_total: int | None = 1_000_000_000, errors: int = 0) -> CommandProgress:
    remarks = (f"{errors} errors",) if errors else ()
    return CommandProgress(
        doing="validating",
        count=count,
        total=100,
        byte_count=count * 10_000_000,
        byte_total=byte_total,
        remarks=remarks,
    )


def _after_ten_seconds(clock: _Clock, **known: Any) -> HeadwayLine:
    line = clock.line()
    for second in range(1, 11):
        clock.at += 1
        clock.now = _validated(second * 2, **known)
        line.words()
    return line


PAGE = Path(__file__).parents[3] / "docs" / "reference" / "progress.md"


def test_a_total_gives_a_share_and_an_end() -> None:
    """Share, files, bytes, rate, the time that is left, and remarks; all of steady work is exact."""
    clock = _Clock()
    line = _after_ten_seconds(clock, errors=3)
    words = line.words()
    assert words == "validating: 20 %, 20 of 100 files, 200.0 MB of 1.0 GB, 20.0 MB/s, ETA 40 s, 3 errors"
    assert f"\n    {words}\n" in PAGE.read_text("utf-8"), "the page shows what is shown"


def test_without_a_total_of_bytes_files_count() -> None:
    """The share and the end are those of the files then."""
    clock = _Clock()
    line = _after_ten_seconds(clock, byte_total=None)
    assert line.words() == "validating: 20 %, 20 of 100 files, 200.0 MB, 20.0 MB/s, ETA 40 s"


def test_without_any_total_there_is_neither_share_nor_end() -> None:
    """A rate is all that can be told: of things, where bytes are only come across."""
    clock = _Clock()
    line = clock.line()
    for second in range(1, 11):
        clock.at += 1
        clock.now = CommandProgress(
            doing="scanning", count=second * 50, byte_count=second * 1000, bytes_are_read=False
        )
        line.words()
    assert line.words() == "scanning: 500 files, 10.0 kB, 50 files/s"


def test_a_narrow_terminal_gets_what_matters_most() -> None:
    """Whole parts are left out, the remarks first, the count last; nothing is cut in two."""
    clock = _Clock()
    line = _after_ten_seconds(clock, errors=3)
    widths = {len(line.words(columns)): line.words(columns) for columns in range(80, 10, -1)}
    assert list(widths.values()) == [
        "validating: 20 %, 20 of 100 files, 200.0 MB of 1.0 GB, 20.0 MB/s, ETA 40 s",
        "validating: 20 %, 20 of 100 files, 200.0 MB of 1.0 GB, ETA 40 s",
        "validating: 20 %, 20 of 100 files, ETA 40 s",
        "validating: 20 %, 20 of 100 files",
        "validating: 20 of 100 files",
    ]


def test_it_is_never_done_before_it_is_over() -> None:
    """100 % needs no line, and a total that was passed was none: it is not told any more."""
    clock = _Clock()
    line = _after_ten_seconds(clock)
    clock.at += 5
    clock.now = _validated(100)
    assert line.words().startswith("validating: 99 %, 100 of 100 files, 1.0 GB of 1.0 GB, ")
    clock.now = _validated(120)
    assert line.words().startswith("validating: 120 files, 1.2 GB, ")
    assert "ETA" not in line.words()
