"""A command that is forked is the command that a person starts."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.cli.stage import Ended, environment, lay_out
from tests.processes.forked import ForkedCommand, shell_words
from tests.waiting import until_in_thread

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks without exec")


AS_USUAL = [sys.executable, "-m", "bulk_upload"]
SAME = [("plan", "good.jsonl"), ("status", "none.db"), ("run", "good.jsonl", "--no")]


def forked(folder: Path, *arguments: str, url: str) -> ForkedCommand:
    """Fork a command in a folder."""
    return ForkedCommand(
        arguments,
        env=environment({"SEEKR_BASE_URL": url}),
        cwd=str(folder),
        stdout=str(folder / "stdout"),
        stderr=str(folder / "stderr"),
    )


def in_shell(folder: Path, words: list[str], script: str, **env: str) -> Ended:
    """Run a line of bash, in which `COMMAND` stands for words that start the command."""
    done = subprocess.run(
        ["bash", "-c", script.replace("COMMAND", shlex.join(words))],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=folder,
        env=environment(dict(env)),
        timeout=60,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr.decode("utf-8"))


@pytest.mark.parametrize("arguments", SAME)
def test_it_says_the_same_as_a_process(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Exit code and both streams are those of `python -m bulk_upload`."""
    lay_out(tmp_path)
    ended = in_shell(tmp_path, AS_USUAL, f"COMMAND {shlex.join(arguments)}")
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


@pytest.mark.parametrize(
    "script",
    [
        *(f"COMMAND {shlex.join(arguments)}" for arguments in SAME),
        "COMMAND plan -",
        "COMMAND plan /dev/fd/7 --root . 7< good.jsonl",
        "cat good.jsonl | COMMAND plan - | cat; echo ${PIPESTATUS[@]}",
        "mkdir inner; cd inner; COMMAND plan ../good.jsonl",
        "COMMAND plan good.jsonl >&- <&-",
        "ulimit -n 64; COMMAND plan good.jsonl",
        "LC_ALL=C PYTHONIOENCODING=ascii COMMAND plan good.jsonl",
        "umask 077; trap '' HUP; COMMAND scan data --map '*=pre-train' -o m.jsonl; stat -c %a m.jsonl",
    ],
)
def test_a_shell_sees_no_difference(tmp_path: Path, script: str) -> None:
    """Files, folder, limits, settings of Python and signals are the shell's: it is forked only where it can have them."""
    found = []
    for name, words in (("usual", AS_USUAL), ("forked", shell_words())):
        folder = tmp_path / name
        folder.mkdir()
        lay_out(folder)
        ended = in_shell(folder, words, script)
        found.append((ended.status, ended.text.replace(str(folder), "FOLDER")))
    assert found[0] == found[1]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)])
def test_a_command_ends_with_who_started_it(tmp_path: Path, number: signal.Signals, status: int) -> None:
    """The process that a shell sees passes signals on, and ends as the command does; if it is killed, so is the command."""
    lay_out(tmp_path)
    with (
        sandbox_in_thread(SandboxConfig(faults=parse_faults("delay:600*2"))) as sandbox,
        subprocess.Popen(
            [*shell_words(), "run", "good.jsonl"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environment({"SEEKR_BASE_URL": sandbox.url}),
        ) as process,
    ):
        assert process.stderr is not None
        until_in_thread(lambda: len(sandbox.files) == 2)
        process.send_signal(number)
        if number == signal.SIGTERM:
            assert any(b"finishing uploads" in line for line in process.stderr)
            process.send_signal(number)
        # The command has it too: this waits for the end of both.
        said = process.stderr.read()
    assert process.returncode == status, said
