"""Every benchmark that takes options says which."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = [one for one in sorted(BENCHMARKS.glob("*.py")) if "ArgumentParser(" in one.read_text("utf-8")]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: one.name)
def test_help_is_printed(script: Path) -> None:
    """`--help` ends well, whatever the names of cells and settings are."""
    printed = subprocess.run(
        [sys.executable, script, "--help"], capture_output=True, text=True, timeout=120, check=False
    )
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.startswith("usage:")
