from __future__ import annotations

from bulk_upload.report.live.status_line import StatusLine


class _Terminal:
    def __init__(self) -> None:
        self.columns = 40
        self.written: list[str] = []
        self.line = StatusLine(self.written.append, lambda: self.columns)


def test_a_line_is_written_over_and_then_erased() -> None:
    """One write a frame, the rest of a longer line erased after it: nothing flickers, nothing is left."""
    terminal = _Terminal()
    terminal.line.draw("a long line")
    terminal.line.draw("short")
    terminal.line.erase()
    terminal.line.erase()
    assert terminal.written == ["\ra long line\x1b[K", "\rshort\x1b[K", "\r\x1b[2K"]


def test_the_right_edge_stays_free() -> None:
    """What does not fit is cut: a line that wraps could not be taken back, and `^C` needs room."""
    terminal = _Terminal()
    terminal.line.draw("x" * 50)
    assert terminal.written == [f"\r{'x' * 37}\x1b[K"]


def test_a_terminal_that_got_narrower_loses_all_rows_of_the_line() -> None:
    """It has wrapped the line: every row of it is taken back before the next is drawn."""
    terminal = _Terminal()
    terminal.line.draw("x" * 37)
    terminal.columns = 15
    terminal.line.draw("y" * 50)
    assert terminal.written[1] == f"\r\x1b[2A\x1b[J{'y' * 12}\x1b[K"


def test_nobody_draws_while_others_print() -> None:
    """The line is taken away, and comes back with the next frame."""
    terminal = _Terminal()
    terminal.line.draw("one")
    with terminal.line.away():
        terminal.written.append("finding\n")
    terminal.line.draw("two")
    assert terminal.written == ["\rone\x1b[K", "\r\x1b[2K", "finding\n", "\rtwo\x1b[K"]
