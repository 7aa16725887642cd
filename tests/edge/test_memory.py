"""How the C library keeps memory for this process."""

from __future__ import annotations

import subprocess
import sys


def test_a_program_can_ask_for_one_arena() -> None:
    """Where the C library knows of arenas it takes the wish; elsewhere nothing happens."""
    script = "import os; from bulk_upload.edge.memory import share_one_arena; print(share_one_arena())"
    told = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    libc = subprocess.run(
        [sys.executable, "-c", "import platform; print(platform.libc_ver()[0])"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    assert told.strip() == str(libc.strip() == "glibc")
