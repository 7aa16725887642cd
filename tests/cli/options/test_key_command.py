"""`--api-key-command` has its time, its own process group, and no life beyond the run's."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_upload.cli.options import key_command, key_processes
from bulk_upload.exit_status import ExitStatus
from bulk_upload.sandbox import SandboxConfig, sandbox_in_thread
from tests.cli.commands.test_demo import Terminal
from tests.cli.stage import KEY, environment, run_here, run_process

PATIENCE_S = 30.0


class Witness:
    """A named pipe that a command and what it starts keep open: it ends when all of them have."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def read(self) -> bytes:
        """Return what is written next, nothing where nobody is left to write."""
        assert select.select([self._end], [], [], PATIENCE_S)[0], "it goes on"
        return os.read(self._end, 100)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._end)


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    made = Witness(tmp_path / "witness")
    yield made
    made.close()


def hanging(folder: Path, witness: Witness, first: str = "") -> str:
    """Write a program that says that it is there and hangs, as a program of its own does that it starts."""
    script = folder / "key.sh"
    script.write_text(
        f"#!/bin/sh\n{first}\nexec 3>{witness.path}\necho up >&3\nsleep 600 &\ntrap '' TERM\nsleep 600\n"
    )
    script.chmod(0o700)
    return str(script)


def test_a_command_that_does_not_end(desk: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit is named, and everything that the command has started is gone."""
    monkeypatch.setattr(key_command, "COMMAND_S_MAX", 1.5)
    ended = run_here("run", "good.jsonl", "--api-key-command", hanging(desk, witness))
    assert (ended.status, "did not end within 1.5 s" in ended.stderr) == (ExitStatus.USAGE, True)
    assert "hint: " in ended.stderr
    while witness.read():
        pass


def test_the_limit_is_in_the_help() -> None:
    """A person finds out how long a command may take."""
    help_text = " ".join(run_process("run", "--help", COLUMNS="100").stdout.decode().split())
    assert f"within {key_processes.COMMAND_S_MAX:g} s" in help_text


def test_a_command_that_prints_without_end(desk: Path) -> None:
    """It is not read to the end of memory."""
    ended = run_here("run", "good.jsonl", "--api-key-command", "yes")
    assert (ended.status, "prints more than a key" in ended.stderr) == (ExitStatus.USAGE, True)


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP), (signal.SIGINT, 130)],
)
def test_a_signal_ends_the_command_too(
    desk: Path, witness: Witness, number: signal.Signals, status: int
) -> None:
    """No orphan is left, and the process ends as if there had been no command."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "bulk_upload",
            "run",
            "good.jsonl",
            "--api-key-command",
            hanging(desk, witness),
        ],
        env=environment({}),
        stderr=subprocess.DEVNULL,
    )
    assert witness.read() == b"up\n"
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == status
    while witness.read():
        pass


def test_a_command_that_reads_the_key_again_ends_with_the_run(desk: Path, witness: Witness) -> None:
    """Signals end a run whose key is read again for ever, and nothing of the command is left."""
    count = desk / "count"
    first = f"if ! [ -e {count} ]; then touch {count}; echo sk-old; exit; fi"
    with sandbox_in_thread(SandboxConfig(keys=("sk-new",))) as sandbox:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "bulk_upload", "run", "good.jsonl",
                "--api-key-command", hanging(desk, witness, first),
            ],
            env=environment({"SEEKR_BASE_URL": sandbox.url}),
            stderr=subprocess.PIPE,
        )  # fmt: skip
        assert witness.read() == b"up\n"
        assert process.stderr is not None
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            while b"SIGTERM" not in process.stderr.readline():
                pass
        # Well before the command's own time is over.
        assert process.wait(key_processes.COMMAND_S_MAX / 2) == ExitStatus.TERMINATED
        process.stderr.close()
    while witness.read():
        pass


ASK = "#!/bin/sh\nprintf 'word? ' >/dev/tty\nread -r word </dev/tty\necho \"$word\"\n"


def asking(folder: Path, server: str) -> Terminal:
    """Start a run whose key command asks at the terminal; wait until it does."""
    script = folder / "ask.sh"
    script.write_text(ASK)
    script.chmod(0o700)
    arguments = ("run", "good.jsonl", "--api-key-command", str(script))
    terminal = Terminal(*arguments, columns=80, controlling=True, SEEKR_BASE_URL=server)
    terminal.read_until("word? ")
    return terminal


def test_a_command_may_ask_at_the_terminal(desk: Path, server: str) -> None:
    """Its process group has the terminal while it asks, and the run has it afterwards."""
    terminal = asking(desk, server)
    terminal.type(f"{KEY}\n")
    assert terminal.end() == 0, terminal.text
    assert "Accepted 2 of 2" in terminal.text


def test_ctrl_c_while_a_command_asks(desk: Path, server: str) -> None:
    """It ends both, as it would where the run asked by itself."""
    terminal = asking(desk, server)
    terminal.type("\x03")
    assert terminal.end() == ExitStatus.INTERRUPTED, terminal.text
