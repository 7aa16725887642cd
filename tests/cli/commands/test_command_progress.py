"""What each command says of how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulk_upload.cli import validate_files
from bulk_upload.cli.commands import plan, scan, verify
from bulk_upload.engine.after.verify import Verified
from bulk_upload.report.live.command_progress import CommandProgress
from bulk_upload.sandbox import SandboxConfig, sandbox_in_thread
from tests.cli.stage import KEY, run_here


def _last_look(monkeypatch: pytest.MonkeyPatch, module: object) -> list[CommandProgress]:
    """Have a command look at itself once, at the end of its work."""
    seen: list[CommandProgress] = []

    @contextmanager
    def shown(look: Callable[[], CommandProgress], *, quiet: bool = False) -> Iterator[None]:
        yield
        seen.append(look())

    monkeypatch.setattr(module, "command_progress_shown", shown)
    return seen


def test_scan_tells_files_bytes_and_what_it_left(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The speed is one of files: nothing of them is read."""
    seen = _last_look(monkeypatch, scan)
    (desk / "data" / "notes").write_text("x")
    (desk / "data" / "gone").symlink_to("/nowhere/at/all")
    assert run_here("scan", "data", "--map", "*.jsonl=pre-train", "-o", "m.jsonl").status == 0
    size = sum((desk / "data" / name).stat().st_size for name in ("a.jsonl", "b.jsonl"))
    assert seen == [
        CommandProgress(
            doing="scanning", count=2, byte_count=size, bytes_are_read=False,
            remarks=("1 matched by no pattern", "1 skipped"),
        )
    ]  # fmt: skip


def test_plan_tells_entries(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long manifest is not read in silence."""
    seen = _last_look(monkeypatch, plan)
    assert run_here("plan", "good.jsonl").status == 0
    assert [(one.doing, one.things) for one in seen] == [("reading the manifest", "entries")]


@pytest.mark.parametrize(
    ("arguments", "total", "knows_bytes"),
    [
        (("good.jsonl",), 2, False),
        (("good.csv",), None, False),
        (("data/a.jsonl", "data/b.jsonl", "data/gone.jsonl", "--purpose", "pre-train"), 3, True),
    ],
)
def test_validate_knows_what_it_can_count_quickly(
    desk: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    total: int | None,
    knows_bytes: bool,
) -> None:
    """Lines of a JSON Lines manifest, named data files with their sizes; a CSV line is not always a row."""
    seen = _last_look(monkeypatch, validate_files)
    run_here("validate", *arguments)
    (one,) = seen
    size = sum((desk / "data" / name).stat().st_size for name in ("a.jsonl", "b.jsonl"))
    assert (one.doing, one.count, one.total) == ("validating", total or 2, total)
    assert (one.byte_count, one.byte_total) == (size, size if knows_bytes else None)
    assert one.remarks == (("1 error",) if knows_bytes else ())


def test_validate_counts_entries_that_cannot_be_opened(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are done with, and errors: the count reaches its total all the same, whatever lines are blank."""
    seen = _last_look(monkeypatch, validate_files)
    (desk / "m.jsonl").write_text(
        '{"path": "data/a.jsonl", "purpose": "pre-train"}\n\n{"path": "data/z.jsonl", "purpose": "pre-train"}\n'
    )
    run_here("validate", "m.jsonl")
    (one,) = seen
    assert (one.count, one.total, one.remarks) == (2, 2, ("1 error",))


@pytest.mark.parametrize("content", [False, True])
def test_verify_tells_receipts_and_what_it_read_back(
    desk: Path, monkeypatch: pytest.MonkeyPatch, content: bool
) -> None:
    """Each receipt counts as soon as it was looked at; bytes only where files are read back."""
    seen = _last_look(monkeypatch, verify)
    with sandbox_in_thread(SandboxConfig(keys=(KEY,), directory=str(desk / "server"))) as sandbox:
        ran = run_here("run", "good.jsonl", "--ledger", "l.ledger.db", "--quiet", SEEKR_BASE_URL=sandbox.url)
        assert ran.status == 0, ran.text
        run_here("verify", "l.ledger.db", *(["--content"] if content else []))
    size = sum((desk / "data" / name).stat().st_size for name in ("a.jsonl", "b.jsonl"))
    read = size if content else None
    assert seen == [
        CommandProgress(
            doing="verifying", count=2, total=2, things="receipts", byte_count=read, byte_total=read
        )
    ]  # fmt: skip


def test_verify_tells_the_list_first_and_no_total_that_was_passed() -> None:
    """Receipts of older versions come on top of the entries that were counted."""
    listing = verify._progress(Verified(listed_count=700), lambda: (5, 500), content=False)
    assert (listing.doing, listing.count, listing.total) == ("reading the server's list", 700, None)
    passed = verify._progress(
        Verified(listed_count=700, receipt_count=6, content_bytes=600), lambda: (5, 500), content=True
    )
    assert (passed.count, passed.total, passed.byte_count, passed.byte_total) == (6, None, 600, None)
