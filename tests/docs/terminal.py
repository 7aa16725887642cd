"""A shell that a page is typed into. Its `bulk-upload` is a process that the test starts, sees and can signal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.stage import COMMAND, UNWANTED, Ended, Process

ASK = """#!/bin/bash
printf '%s\\0' "$PWD" "${SEEKR_API_KEY-}" "${SEEKR_BASE_URL-}" $# "$@" >&$ASKS
read -r status <&$ANSWERS
exit "$status"
"""
"""What the shell finds for `bulk-upload`: the test starts the command, and says how it ended."""


class Terminal:
    """A shell that goes on from block to block."""

    def __init__(self, folder: Path, name: str, env: dict[str, str]) -> None:
        self._folder, self._name, self._env = folder, name, env
        self._count = 0
        asks, their_asks = os.pipe()
        their_answers, answers = os.pipe()
        self._asks, self._answers = os.fdopen(asks, "rb", 0), os.fdopen(answers, "wb", 0)
        theirs = {"ASKS": their_asks, "ANSWERS": their_answers}
        self._shell = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            cwd=folder,
            env=env | {key: str(number) for key, number in theirs.items()},
            pass_fds=list(theirs.values()),
        )
        for number in theirs.values():
            os.close(number)

    def do(self, code: str) -> list[Ended]:
        """Type lines, and wait for their end. Every command in them must go well."""
        self.type(code)
        ended = []
        while (process := self.started()) is not None:
            ended.append(self.end(process))
            assert ended[-1].code == 0, f"{code}\n{ended[-1].stdout}{ended[-1].stderr}"
        return ended

    def type(self, code: str) -> None:
        """Type lines."""
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{code}\nprintf 'ended\\0' >&$ASKS\n".encode())
        self._shell.stdin.flush()

    def started(self) -> Process | None:
        """Return the next command that the shell has come to, None when all lines are done."""
        folder = self._field()
        if folder == "ended":
            return None
        key, url, count = (self._field() for _ in range(3))
        arguments = tuple(self._field() for _ in range(int(count)))
        forked = sys.platform.startswith("linux")
        self._count += 1
        return Process(
            arguments if forked else (COMMAND, *arguments),
            env=self._env | {"SEEKR_API_KEY": key, "SEEKR_BASE_URL": url, "SSL_CERT_FILE": os.devnull},
            cwd=Path(folder),
            out=self._folder.parent / f"{self._name}-{self._count:02d}",
            forked=forked,
        )

    def end(self, process: Process) -> Ended:
        """Wait for the end of a command, and let the shell go on."""
        ended = process.wait()
        self._answers.write(b"%d\n" % ended.code)
        return ended

    def close(self) -> None:
        """End the shell."""
        self._shell.kill()
        self._shell.communicate()
        self._asks.close()
        self._answers.close()

    def _field(self) -> str:
        found = bytearray()
        while (byte := self._asks.read(1)) != b"\0":
            assert byte, "the shell has ended"
            found += byte
        return found.decode()


@contextmanager
def terminal(folder: Path, name: str, **env: str) -> Iterator[Terminal]:
    """Open a terminal in a folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
    opened = Terminal(folder, name, kept | env)
    try:
        yield opened
    finally:
        opened.close()
