"""What this machine lacks is this machine's matter: a run with few descriptors, and disks that do not answer."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bulk_upload.exit_status import ExitStatus
from bulk_upload.sandbox import Sandbox, SandboxConfig, parse_faults, sandbox_in_thread
from tests.cli.stage import environment

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
MIB_IN_KIB = 1024


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run ended, what it said, and the most memory it held."""

    code: int
    words: str
    peak_kib: int


def tree(folder: Path, count: int, size: int) -> Path:
    """Write files of different contents and a manifest of them."""
    for number in range(count):
        (folder / f"{number}.jsonl").write_bytes((b"%d-" % number * (size // 2 + 1))[:size])
    manifest = folder / "m.jsonl"
    lines = [json.dumps({"path": f"{number}.jsonl", "purpose": "fine-tune"}) for number in range(count)]
    manifest.write_text("\n".join(lines))
    return manifest


@contextmanager
def command(
    manifest: Path, url: str, *options: str, within: tuple[str, ...] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run whose words go to a file beside the manifest; `within` is the command that runs it."""
    arguments = [
        *within,
        sys.executable,
        "-m",
        "bulk_upload",
        "run",
        str(manifest),
        "--no-progress",
        "--validate",
        "off",
        *options,
    ]
    with open(manifest.with_suffix(".log"), "wb") as log:
        process = subprocess.Popen(
            arguments,
            env=environment({"SEEKR_BASE_URL": url}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def run_with_descriptors(manifest: Path, url: str, limit: int, *options: str) -> Ended:
    """Run with so many descriptors, hard and soft."""
    narrow = ("bash", "-c", f'ulimit -n {limit}; exec "$@"', "bash")
    peak_kib = 0
    with command(manifest, url, *options, within=narrow) as process:
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text("ascii", "replace")
            if "VmHWM:" in status:
                peak_kib = max(peak_kib, int(status.split("VmHWM:")[1].split()[0]))
            time.sleep(0.02)
    return Ended(code=process.returncode, words=manifest.with_suffix(".log").read_text(), peak_kib=peak_kib)


def assert_each_stored_once(sandbox: Sandbox, count: int) -> None:
    """The server has every file once."""
    copies = Counter(file.sha256 for file in sandbox.files)
    assert len(copies) == count
    assert set(copies.values()) == {1}


@linux
def test_too_few_descriptors_only_slow_a_run(tmp_path: Path) -> None:
    """With fewer descriptors than uploads in flight nothing fails and no attempt is spent: the run waits for them."""
    manifest = tree(tmp_path, 60, 400_000)
    with sandbox_in_thread(SandboxConfig(faults=parse_faults("answer-delay=0.05"))) as sandbox:
        few = ("--concurrency", "64", "--max-attempts", "1")
        ended = run_with_descriptors(manifest, sandbox.url, 48, *few)
        assert ended.code == 0, ended.words
        assert_each_stored_once(sandbox, 60)


@linux
@pytest.mark.soak
@pytest.mark.parametrize("size", [100, 400_000])
def test_two_thousand_files_with_256_descriptors(tmp_path: Path, size: int) -> None:
    """64 uploads in flight, 256 descriptors, 2,000 files: no retry, and memory for 64 blocks and no more."""
    manifest = tree(tmp_path, 2000, size)
    with sandbox_in_thread(SandboxConfig(faults=parse_faults("answer-delay=0.05"))) as sandbox:
        ended = run_with_descriptors(manifest, sandbox.url, 256, "--concurrency", "64")
        print(f"\n{size} bytes each: peak {ended.peak_kib // MIB_IN_KIB} MiB")
        assert ended.code == 0, ended.words
        assert "retries" not in ended.words
        assert_each_stored_once(sandbox, 2000)
        assert ended.peak_kib < (100 + 64 * 1) * MIB_IN_KIB


@linux
@pytest.mark.parametrize(("size", "number"), [(1_000, "ESTALE"), (3_000_000, "EIO")])
def test_a_read_that_the_system_refuses_is_made_again(tmp_path: Path, size: int, number: str) -> None:
    """A mount that fails for a moment costs a wait; one that fails for longer leaves its entry to the same command."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    manifest = tree(tmp_path, 4, size)

    def refused(when: str) -> tuple[str, ...]:
        inject = ("-e", "trace=read,pread64", "-e", f"inject=read,pread64:error={number}:when={when}")
        return (strace, "-f", "-qq", "-o", os.devnull, "-P", str(tmp_path / "2.jsonl"), *inject)

    def run(url: str, within: tuple[str, ...] = ()) -> int:
        with command(manifest, url, "--max-attempts", "3", within=within) as process:
            return process.wait(timeout=120)

    with sandbox_in_thread() as sandbox:
        assert run(sandbox.url, refused("1+")) == ExitStatus.UNFINISHED
        words = manifest.with_suffix(".log").read_text()
        assert f"{os.strerror(getattr(errno, number))} (after 3 attempts)" in words
        assert run(sandbox.url, refused("1")) == ExitStatus.DONE
        assert_each_stored_once(sandbox, 4)


@linux
@pytest.mark.soak
@pytest.mark.parametrize("size", [1_000, 3_000_000])
def test_reads_that_hang_give_up_their_entries_only(tmp_path: Path, size: int) -> None:
    """Eight files whose reads hang in the system stay pending; the other entries and the ledger go on."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    manifest = tree(tmp_path, 40, size)
    paths = [word for number in range(8) for word in ("-P", str(tmp_path / f"{number}.jsonl"))]
    hang = ("-e", "trace=read,pread64", "-e", "inject=read,pread64:delay_enter=40000000")
    within = (strace, "-f", "-qq", "-o", os.devnull, *paths, *hang)
    log = manifest.with_suffix(".log")
    options = ("--concurrency", "16", "--stall", "2s", "--max-attempts", "2")
    with sandbox_in_thread() as sandbox, command(manifest, sandbox.url, *options, within=within):
        began = time.monotonic()
        # Its last words, not its end: what strace holds up cannot be ended before the delay is over.
        while b"Exit code" not in log.read_bytes():
            assert time.monotonic() - began < 35, log.read_text()
            time.sleep(0.1)
        words = log.read_text()
        assert "Exit code 5" in words
        assert len(re.findall(r"not finished: .*(could not be read|did not answer) for 2\.0 s", words)) == 8
        assert words.count("\nnot finished: ") == 8
        assert len(sandbox.files) == 32


_SHORT = """
import os, resource, sys, threading
import aiohttp, bulk_upload.cli.commands.run, sqlite3
from bulk_upload.cli.main import main
threads, descriptors = int(sys.argv[1]), int(sys.argv[2])
# The second name is Python 3.13's.
starter = "_start_new_thread" if hasattr(threading, "_start_new_thread") else "_start_joinable_thread"
start = getattr(threading, starter)

def starts(*arguments, **options):
    global threads
    if not threads:
        raise RuntimeError("can't start new thread")
    threads -= 1
    return start(*arguments, **options)

setattr(threading, starter, starts)
limit = len(os.listdir("/dev/fd")) + descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
sys.argv[:] = ["bulk-upload", *sys.argv[3:]]
main()
"""
MANY = 200


def short_run(folder: Path, threads: int, descriptors: int) -> tuple[int, str]:
    """Run a small job in a process that can start so many threads and open so many files more; return code and words."""
    manifest = tree(folder, 3, 1000)
    with sandbox_in_thread(SandboxConfig()) as sandbox:
        arguments = ["run", str(manifest), "--validate", "off", "--patience", "2s", "--base-url", sandbox.url]
        ended = subprocess.run(
            [sys.executable, "-c", _SHORT, str(threads), str(descriptors), *arguments],
            env=environment({}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize("threads", [0, 1, 2, 3, 4])
def test_few_threads_are_named(tmp_path: Path, threads: int) -> None:
    """A machine that starts no more threads is short of them, and the words say of what; it is never called a bug."""
    code, words = short_run(tmp_path, threads, MANY)
    assert code in (0, 5), words
    assert code == 0 or "ulimit -u" in words, words


@pytest.mark.parametrize("descriptors", [1, 3, 5, 7, 9, 11])
def test_few_descriptors_are_named(tmp_path: Path, descriptors: int) -> None:
    """A process that may open no more files says so, wherever it stumbles over that, and never waits for ever."""
    code, words = short_run(tmp_path, MANY, descriptors)
    assert code in (0, 5, 11), words
    assert code == 0 or "ulimit -n" in words, words
