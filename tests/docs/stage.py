"""Pages whose code blocks are run: what each block is stands in a comment above it.

`<!-- file: NAME -->` writes the block to a file, `<!-- run -->` gives it to bash and wants exit code 0,
`<!-- run: 3 -->` another one, `<!-- run in DIR -->` in a folder where a reader is by then, `<!-- not run: WHY -->` leaves
it alone. `<!-- output -->` is what the block before it prints. Commands have no prompts: a block is copied as a whole.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes.forked import shell_words

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(
    r"(?:^<!-- (?P<what>file|run|output|not run)(?: in (?P<folder>\S+?))?(?:: (?P<detail>[^\n]*?))? -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """One code block of a page and what is to be done with it."""

    what: str | None
    detail: str
    language: str
    code: str
    folder: str = "."


def blocks_of(page: Path) -> list[Block]:
    """Return the code blocks of a page."""
    found = _BLOCK.finditer(page.read_text("utf-8"))
    return [
        Block(one["what"], one["detail"] or "", one["language"], one["code"], one["folder"] or ".")
        for one in found
    ]


@dataclass
class Stage:
    """A folder to follow a page in, with the command in PATH and a sandbox for a server."""

    folder: Path
    url: str
    key: str
    said: str = ""
    env: dict[str, str] = field(default_factory=dict)

    def follow(self, page: str, *, port: int | None = None) -> None:
        """Do what a page says from its top to its end. `port` stands for the sandbox's usual one."""
        for block in blocks_of(DOCS / page):
            self.do(block, port=port)

    def do(self, block: Block, *, port: int | None = None) -> None:
        """Do what one block says."""
        code = block.code if port is None else block.code.replace("8099", str(port))
        if block.what == "file":
            path = self.folder / block.detail
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)
            if code.startswith("#!"):
                path.chmod(0o755)
        elif block.what == "run":
            status = self.run(code, block.folder)
            assert status == int(block.detail or 0), f"{code}\n{self.said}"
        elif block.what == "output":
            # The lines of several files come in any order.
            assert sorted(code.splitlines()) == sorted(self.said.splitlines())

    def run(self, script: str, folder: str = ".") -> int:
        """Run lines of bash in a folder, each of which must go well but the last, and return how that ended."""
        done = subprocess.run(
            ["bash", "-euc", script],
            cwd=self.folder / folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        self.said = done.stdout.decode()
        return done.returncode

    def _environment(self) -> dict[str, str]:
        commands = self.folder.parent / f"{self.folder.name}-bin"
        commands.mkdir(exist_ok=True)
        for name, words in (("bulk-upload", shell_words()), ("python", [sys.executable])):
            (commands / name).write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
            (commands / name).chmod(0o755)
        kept = {
            name: one for name, one in os.environ.items() if not name.startswith(("SEEKR_", "BULK_UPLOAD_"))
        }
        path = f"{commands}:{os.environ['PATH']}"
        return {**kept, "PATH": path, "SEEKR_API_KEY": self.key, "SEEKR_BASE_URL": self.url, **self.env}
