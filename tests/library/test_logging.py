"""Standard logging under `bulk_upload`: quiet until the program asks, and never with a secret."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload import UsageError, upload
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.library.scenes import manifest_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bulk_upload.sandbox import Sandbox

KEY = "sk-very-secret-key-0123456789"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(SandboxConfig()) as running:
        yield running


def records_of(caplog: pytest.LogCaptureFixture) -> list[tuple[int, dict[str, Any]]]:
    return [(one.levelno, one.bulk_upload) for one in caplog.records if one.name == "bulk_upload"]  # type: ignore[attr-defined]


def test_a_run_is_logged(tmp_path: Path, sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Accepted entries are information, failed ones warnings, the verdict of a run that failed is an error."""
    sandbox.use_faults(parse_faults("422,ok"))
    caplog.set_level(logging.INFO, "bulk_upload")
    upload(manifest_of(tmp_path, 2), api_key=KEY, base_url=sandbox.url, concurrency=1)
    found = records_of(caplog)
    levels = {fields.get("state"): level for level, fields in found if fields["event"] == "entry_settled"}
    assert levels == {"rejected": logging.WARNING, "accepted": logging.INFO}
    level, ended = found[-1]
    assert (level, ended["event"], ended["exit_code"]) == (logging.ERROR, "run_ended", 3)
    assert "entry_settled path=file-0.jsonl" in caplog.text


def test_requests_are_logged_for_debugging(
    tmp_path: Path, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Each attempt is there with its outcome, from the level DEBUG on."""
    caplog.set_level(logging.DEBUG, "bulk_upload")
    upload(manifest_of(tmp_path, 1), api_key=KEY, base_url=sandbox.url)
    events = [fields["event"] for _, fields in records_of(caplog)]
    assert {"attempt_started", "attempt_ended"} <= set(events)


def test_what_ends_a_run_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An exception is an error of the log as well, with its hint."""
    with pytest.raises(UsageError):
        upload(tmp_path / "gone.jsonl", api_key=KEY, base_url="http://127.0.0.1:9")
    ((level, fields),) = records_of(caplog)
    assert (level, fields["event"]) == (logging.ERROR, "failed")
    assert fields["hint"]


def test_the_key_is_in_no_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also where it is the name of a file, and where a callable returns it."""
    (tmp_path / f"{KEY}.jsonl").write_text('{"text": "x"}\n')
    caplog.set_level(logging.DEBUG, "bulk_upload")
    with sandbox_in_thread(SandboxConfig(faults=parse_faults("422"))) as sandbox:
        entries = [tmp_path / f"{KEY}.jsonl"]
        ledger = tmp_path / "job.ledger.db"
        upload(entries, purpose="pre-train", ledger=ledger, api_key=lambda: KEY, base_url=sandbox.url)
    assert records_of(caplog)
    assert KEY not in caplog.text
    assert not any(KEY in repr(fields) for _, fields in records_of(caplog))


def test_without_a_handler_nothing_is_printed(tmp_path: Path, sandbox: Sandbox) -> None:
    """A program that has not set up logging sees no line of ours, also of warnings and with `progress` in a pipe."""
    sandbox.use_faults(parse_faults("422*9"))
    script = (
        "import sys; from bulk_upload import upload;"
        "print(upload(sys.argv[1], api_key='key', base_url=sys.argv[2], progress=True).ok)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(manifest_of(tmp_path, 1)), sandbox.url],
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"False\n", b"")
