"""Commands that upload a folder, and what its results say."""

from __future__ import annotations

from pathlib import Path

from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import Ended, run_here

DONE, SHORT, USAGE = ExitStatus.DONE, ExitStatus.SOME_FAILED, ExitStatus.USAGE


def typed(*arguments: str, server: str | None = None) -> Ended:
    """Run a command against a server, or against none."""
    return run_here(*arguments) if server is None else run_here(*arguments, SEEKR_BASE_URL=server)


def statuses(where: Path, stem: str = "datasets") -> dict[str, str]:
    """Return the purpose and the state of each file in the results of a folder's job."""
    (results,) = where.glob(f"{stem}@*.results.csv")
    rows = [line.split(",") for line in results.read_text().splitlines()[1:]]
    return {row[0]: f"{row[1]} {row[2]}" for row in rows}
