"""What the tests of the command line share: a folder with work in it, and two ways to run a command."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from bulk_upload.cli.main import status_of
from bulk_upload.cli.output.streams import lines_for_people
from tests.processes.forked import shell_words

KEY = "sk-never-show-me-4711"
NOWHERE = "http://127.0.0.1:9"
"""The server unless a test names another: nothing listens there, and nothing ever leaves this machine."""

_OURS = ("SEEKR_", "BULK_UPLOAD_", "OPENAI_", "GROQ_", "MISTRAL_")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended and what it printed."""

    status: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """All of it."""
        return self.stdout.decode("utf-8", "surrogateescape") + self.stderr


def environment(given: Mapping[str, str | None]) -> dict[str, str]:
    """The environment of a command: a key and a dead server, changed by what a test gives; None removes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    wanted = {"SEEKR_API_KEY": KEY, "SEEKR_BASE_URL": NOWHERE, **given}
    return kept | {name: value for name, value in wanted.items() if value is not None}


def run_here(*arguments: str, **env: str | None) -> Ended:
    """Run a command in this process, by the function that `main` calls."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with (
        patch.dict(os.environ, environment(env), clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
        lines_for_people(),
    ):
        status = status_of(list(arguments))
    return Ended(int(status), _bytes_of(out), _bytes_of(err).decode("utf-8"))


def run_process(*arguments: str, **env: str | None) -> Ended:
    """Run a command as a process of its own."""
    return run_within(60.0, *arguments, **env)


def run_within(limit_s: float, /, *arguments: str, **env: str | None) -> Ended:
    """Run a command as a process of its own, for so long at most."""
    done = subprocess.run(
        [*shell_words(), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(env),
        timeout=limit_s,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr.decode("utf-8"))


def run_shell(script: str, **env: str | None) -> Ended:
    """Run a line of bash; `bulk-upload` in it is this package's command."""
    here = f'bulk-upload() {{ {shlex.join(shell_words())} "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-c", here + script], capture_output=True, env=environment(env), timeout=60, check=False
    )
    return Ended(done.returncode, done.stdout, done.stderr.decode("utf-8"))


def lay_out(folder: Path) -> None:
    """Put two files and manifests of them into a folder: `good.jsonl` and `good.csv`."""
    (folder / "data").mkdir()
    (folder / "data" / "a.jsonl").write_text('{"text": "one"}\n')
    (folder / "data" / "b.jsonl").write_text('{"text": "two"}\n{"text": "three"}\n')
    (folder / "good.jsonl").write_text(
        '{"path": "data/a.jsonl", "purpose": "pre-train"}\n{"path": "data/b.jsonl", "purpose": "pre-train"}\n'
    )
    (folder / "good.csv").write_text("path,purpose\ndata/a.jsonl,pre-train\ndata/b.jsonl,pre-train\n")


def _bytes_of(stream: io.TextIOWrapper) -> bytes:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()
