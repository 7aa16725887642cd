"""A command that is forked is the command that a person starts."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.cli.stage import environment, lay_out, run_process
from tests.processes.forked import ForkedCommand
from tests.waiting import until_in_thread

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks without exec")


def forked(folder: Path, *arguments: str, url: str) -> ForkedCommand:
    """Fork a command in a folder."""
    return ForkedCommand(
        arguments,
        env=environment({"SEEKR_BASE_URL": url}),
        cwd=str(folder),
        stdout=str(folder / "stdout"),
        stderr=str(folder / "stderr"),
    )


@pytest.mark.parametrize(
    "arguments", [("plan", "good.jsonl"), ("status", "none.db"), ("run", "good.jsonl", "--no")]
)
def test_it_says_the_same_as_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Exit code and both streams are those of `python -m bulk_upload`."""
    lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    ended = run_process(*arguments)
    assert forked(tmp_path, *arguments, url="http://127.0.0.1:9").wait() == ended.status
    assert (tmp_path / "stdout").read_bytes() == ended.stdout
    assert (tmp_path / "stderr").read_text("utf-8") == ended.stderr


def test_it_is_a_process_of_its_own(tmp_path: Path) -> None:
    """A signal reaches it alone; one that is killed says by what, and others go on to be forked."""
    lay_out(tmp_path)
    with sandbox_in_thread(SandboxConfig(faults=parse_faults("delay:600*2"))) as sandbox:
        process = forked(tmp_path, "run", "good.jsonl", url=sandbox.url)
        until_in_thread(lambda: len(sandbox.files) == 2)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        assert process.wait() == process.poll() == -signal.SIGKILL
        assert forked(tmp_path, "--version", url=sandbox.url).wait() == 0
