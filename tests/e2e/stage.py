"""A job folder, a sandbox that serves it, and the real command as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bulk_upload.sandbox import Sandbox, SandboxConfig, parse_faults, sandbox_in_thread
from tests.e2e.trees import Tree, write_manifest
from tests.processes.forked import ForkedCommand

KEY = "sandbox-key"
COMMAND = os.path.join(sysconfig.get_path("scripts"), "bulk-upload")
RUN_OPTIONS: tuple[str, ...] = ()
"""Given to every `run` and `plan`."""


UNWANTED = ("SEEKR_", "BULK_UPLOAD_", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A command that has ended. `peak_kib` is the most memory it held."""

    code: int
    stdout: str
    stderr: str
    seconds: float
    peak_kib: int


def _start(
    words: tuple[str, ...], env: dict[str, str], cwd: str, stdout: str, stderr: str
) -> subprocess.Popen[bytes]:
    with open(stdout, "wb") as out, open(stderr, "wb") as err:
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env, cwd=cwd)


def _fork(
    arguments: tuple[str, ...], env: dict[str, str], cwd: str, stdout: str, stderr: str
) -> ForkedCommand:
    # The child opens them in its own time, and a test may read them at once.
    for path in (stdout, stderr):
        Path(path).touch()
    return ForkedCommand(arguments, env=env, cwd=cwd, stdout=stdout, stderr=stderr)


class Process:
    """A command that goes on. Its output goes to files, so that it never waits for a reader."""

    def __init__(
        self, arguments: tuple[str, ...], *, env: dict[str, str], cwd: Path, out: Path, forked: bool
    ) -> None:
        self._out = out
        self._started = time.monotonic()
        self._peak_kib = 0
        self._popen = (_fork if forked else _start)(
            arguments, env, str(cwd), f"{out}.stdout", f"{out}.stderr"
        )
        self.pid = self._popen.pid

    @property
    def stdout(self) -> str:
        """What it printed so far."""
        return Path(f"{self._out}.stdout").read_text("utf-8", "surrogateescape")

    @property
    def stderr(self) -> str:
        """What it said so far."""
        return Path(f"{self._out}.stderr").read_text("utf-8", "surrogateescape")

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """End it as a crash would, and collect it."""
        self._popen.kill()
        self._popen.wait()

    def wait(self, timeout_s: float = 60.0) -> Ended:
        """Wait for its end, watching its memory; one that takes longer than `timeout_s` is killed."""
        while (code := self._popen.poll()) is None:
            self._note_memory()
            if time.monotonic() - self._started > timeout_s:
                self.kill()
                raise AssertionError(f"not done after {timeout_s} s; it said:\n{self.stderr}")
            time.sleep(0.02)
        return Ended(
            code=code,
            stdout=self.stdout,
            stderr=self.stderr,
            seconds=time.monotonic() - self._started,
            peak_kib=self._peak_kib,
        )

    def until(self, condition: Callable[[], object], what: str, *, timeout_s: float = 30.0) -> None:
        """Wait, while it runs, until a condition holds."""
        holds_within(timeout_s, lambda: condition() or not self.running)
        if not condition():
            state = "still runs" if self.running else "has ended"
            raise AssertionError(f"waited in vain for {what}; the command {state} and said:\n{self.stderr}")

    def position_in(self, path: bytes) -> int | None:
        """Return how far it has read an open file, None while it is not open."""
        folder = f"/proc/{self.pid}/fd"
        try:
            for number in os.listdir(folder):
                if os.fsencode(os.readlink(f"{folder}/{number}")) == path:
                    info = Path(f"/proc/{self.pid}/fdinfo/{number}").read_text("ascii")
                    return int(info.split("pos:")[1].split()[0])
        except (FileNotFoundError, IndexError):
            pass
        return None

    def _note_memory(self) -> None:
        # Not the rusage of the child: that counts what this process held when it was forked as well.
        try:
            status = Path(f"/proc/{self.pid}/status").read_text("ascii", "replace")
        except (FileNotFoundError, ProcessLookupError):
            return
        if "VmHWM:" in status:
            self._peak_kib = max(self._peak_kib, int(status.split("VmHWM:")[1].split()[0]))


class Stage:
    """One job: its folder, its manifest, its sandbox."""

    def __init__(self, folder: Path, sandbox: Sandbox, journal: Path, kept: Path | None) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.url = sandbox.url
        self.journal_path = journal
        self.kept = kept
        self.manifest = folder / "manifest.jsonl"
        self._processes: list[Process] = []
        self._journal_lines: list[str] = []
        self._journal_offset = 0
        self.forks = sys.platform.startswith("linux")
        """Whether commands may be forked off a process that has imported them; their memory is then no measure."""

    def journal_lines(self) -> list[str]:
        """Return the whole lines of the sandbox's journal so far."""
        with open(self.journal_path, "rb") as file:
            file.seek(self._journal_offset)
            news = file.read()
        whole = news[: news.rfind(b"\n") + 1]
        self._journal_offset += len(whole)
        self._journal_lines += whole.decode("ascii").splitlines()
        return self._journal_lines

    @property
    def ledger(self) -> Path:
        """Where the command put the ledger, beside the manifest."""
        (found,) = self.folder.glob("*.ledger.db")
        return found

    def use(self, tree: Tree) -> None:
        """Make a tree the job's manifest."""
        write_manifest(self.manifest, tree)

    def use_faults(self, text: str) -> None:
        """Let other faults hit the uploads from now on."""
        self.sandbox.use_faults(parse_faults(text))

    def start(
        self,
        *arguments: str,
        key: str = KEY,
        url: str | None = None,
        extra_env: Mapping[str, str] | None = None,
        within: tuple[str, ...] = (),
    ) -> Process:
        """Start a command; `within` is the command that runs it, if any."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
        env |= {"SEEKR_API_KEY": key, "SEEKR_BASE_URL": url or self.url}
        # Nothing here speaks TLS, and reading the system's certificates is a third of a short command's time.
        env["SSL_CERT_FILE"] = os.devnull
        env |= extra_env or {}
        out = self.folder / f"command-{len(self._processes):03d}"
        # Only Python itself makes something of what else may be in the environment, and only when it starts.
        forked = not within and not extra_env and self.forks
        words = arguments if forked else (*within, COMMAND, *arguments)
        process = Process(words, env=env, cwd=self.folder, out=out, forked=forked)
        self._processes.append(process)
        return process

    def call(self, *arguments: str, timeout_s: float = 60.0) -> Ended:
        """Run a command to its end."""
        return self.start(*arguments).wait(timeout_s)

    def start_run(
        self,
        *options: str,
        key: str = KEY,
        url: str | None = None,
        extra_env: Mapping[str, str] | None = None,
        within: tuple[str, ...] = (),
    ) -> Process:
        """Start `run` on the job's manifest."""
        arguments = ("run", str(self.manifest), *RUN_OPTIONS, *options)
        return self.start(*arguments, key=key, url=url, extra_env=extra_env, within=within)

    def run(
        self,
        *options: str,
        expect: int | None = None,
        timeout_s: float = 60.0,
        key: str = KEY,
        url: str | None = None,
    ) -> Ended:
        """Run the job to the run's end; `expect` is the exit code it must have."""
        ended = self.start_run(*options, key=key, url=url).wait(timeout_s)
        if expect is not None and ended.code != expect:
            raise AssertionError(f"exit code {ended.code} instead of {expect}; it said:\n{ended.stderr}")
        return ended

    def end(self) -> None:
        """Kill what a failed test left running."""
        for process in self._processes:
            if process.running:
                process.kill()


@contextmanager
def staged(
    folder: Path, faults: str = "", *, keep: bool = False, keys: tuple[str, ...] = ()
) -> Iterator[Stage]:
    """Serve a sandbox for a job in `folder`; with `keep` the bytes it takes are kept on disk."""
    folder.mkdir(exist_ok=True)
    kept = folder / "kept" if keep else None
    journal = folder / "journal.jsonl"
    config = SandboxConfig(
        journal_path=str(journal),
        directory=None if kept is None else str(kept),
        keys=keys,
        faults=parse_faults(faults),
    )
    with sandbox_in_thread(config) as sandbox:
        stage = Stage(folder, sandbox, journal, kept)
        try:
            yield stage
        finally:
            stage.end()


def holds_within(seconds: float, condition: Callable[[], object]) -> bool:
    """Wait until a condition holds, but no longer than this; return whether it does."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.01)
    return True


def require_linux() -> None:
    """Skip where there is no /proc."""
    if not sys.platform.startswith("linux"):
        pytest.skip("looks into /proc")
