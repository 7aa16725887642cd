from __future__ import annotations

import io
import sys

import pytest

from bulk_upload.cli.output import reading_shown


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def _screen(monkeypatch: pytest.MonkeyPatch) -> _Screen:
    """Make standard error a terminal."""
    made = _Screen()
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setenv("TERM", "xterm")
    return made


def test_a_long_manifest_shows_how_far_it_is_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a second one line counts the entries, a few times a second; at the end it is erased."""
    at = [100.0]
    screen = _screen(monkeypatch)
    with reading_shown(lambda: at[0]) as show:
        assert show is not None
        for entry_count, later in ((512, 0.5), (1024, 1.2), (1536, 1.3), (2048, 1.6)):
            at[0] = 100.0 + later
            show(entry_count)
    lines = screen.getvalue().split("\r")
    assert lines == [
        "",
        "reading the manifest: 1,024 entries so far",
        "reading the manifest: 2,048 entries so far",
        "\x1b[2K",
    ]


def test_a_short_manifest_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over at once does not flicker."""
    screen = _screen(monkeypatch)
    with reading_shown() as show:
        assert show is not None
        show(512)
    assert screen.getvalue() == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_only_a_terminal_that_can_erase_is_drawn_on(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    """A log and a dumb terminal get no control characters."""
    _screen(monkeypatch)
    if terminal:
        monkeypatch.setenv("TERM", "dumb")
    else:
        monkeypatch.setattr(sys, "stderr", io.StringIO())
    with reading_shown() as show:
        assert show is None
