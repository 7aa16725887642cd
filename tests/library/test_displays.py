"""What `progress=True` shows where: a terminal's live display, and nothing where nobody looks."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload import upload, upload_async
from bulk_upload.library.displays import NotebookPicture, TerminalPicture
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.library.scenes import manifest_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bulk_upload.sandbox import Sandbox


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def at_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make stderr a terminal; not in a fixture, for pytest replaces stderr once more before the test itself."""
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(SandboxConfig()) as running:
        yield running


async def test_a_terminal_shows_the_run(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both twins draw a live display on stderr, take it away at the end, and leave one line."""
    terminal = at_terminal(monkeypatch)
    server: dict[str, Any] = {"api_key": "key", "base_url": sandbox.url}
    upload(manifest_of(tmp_path / "a", 2), progress=True, **server)
    await upload_async(manifest_of(tmp_path / "b", 2), progress=True, **server)
    shown = terminal.getvalue()
    assert shown.count("plan: 2 entries") == 2
    assert shown.count("2 of 2 entries accepted") == 2
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 0, "the cursor is shown again"


def test_without_progress_a_terminal_stays_empty(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library prints nothing unless it is asked to."""
    terminal = at_terminal(monkeypatch)
    upload(manifest_of(tmp_path, 2), api_key="key", base_url=sandbox.url)
    assert terminal.getvalue() == ""


def test_a_name_cannot_control_the_terminal(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The closing line spells out what is not printable, and takes nothing for markup."""
    terminal = at_terminal(monkeypatch)
    sandbox.use_faults(parse_faults("422"))
    name = "[red]x\x1b[31m.jsonl"
    (tmp_path / name).write_text('{"text": "x"}\n')
    ledger = tmp_path / "job.ledger.db"
    options: dict[str, Any] = {"purpose": "pre-train", "ledger": ledger, "progress": True}
    upload([tmp_path / name], api_key="key", base_url=sandbox.url, **options)
    assert "[red]x\\x1b[31m.jsonl: HTTP 422" in terminal.getvalue()


def test_a_display_that_fails_ends_no_run(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is dropped, and the upload goes on."""
    at_terminal(monkeypatch)

    def fail(self: TerminalPicture, event: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(TerminalPicture, "on_event", fail)
    assert upload(manifest_of(tmp_path, 2), progress=True, api_key="key", base_url=sandbox.url).ok


def test_a_notebook_without_a_front_end_ends_no_run(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a picture cannot even be made, there is none."""
    monkeypatch.setattr("bulk_upload.library.displays._in_notebook", lambda: True)
    monkeypatch.setattr(NotebookPicture, "__init__", lambda self, run: 1 / 0)
    assert upload(manifest_of(tmp_path, 2), progress=True, api_key="key", base_url=sandbox.url).ok
