"""Time whole runs against a sandbox that refuses by chance or by a quota, on real sockets.

python benchmarks/refusals.py [--files 3000] [--rounds 3] [CELL ...]

Each cell is run with the number found by the run itself, and with fixed numbers, of which the best counts. Rounds
alternate between them, and the median of each counts: the best of several single runs on a busy machine is a lucky one. A
fixed run here delays only the refused request, also where the server names a wait.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bulk_upload import EntryState, Job, RunSettings, upload
from bulk_upload.core.limits import capped
from bulk_upload.core.limits.fixed import FixedLimit
from bulk_upload.core.limits.signal import SignalKind
from bulk_upload.core.run.settings import ValidateMode
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread

if TYPE_CHECKING:
    from bulk_upload.core.limits.controller import Ticket
    from bulk_upload.core.limits.signal import Signal

FIXED = (8, 16, 32, 64)
BODY_BYTES = 2000
SHARES = ("0.2", "1", "3", "8")
CHANCE = {
    f"{name} {share} %": f"{step}@{share}%,seed=7"
    for name, step in (
        ("429", "early-429"),
        ("503", "early-503"),
        ("reset", "drop-head"),
        ("429 wait 1", "early-429:1"),
    )
    for share in SHARES
}
LIMITS = {
    "rate 20 burst 2": "rate=20,burst=2",
    "12 at once": "max-in-flight=12,answer-delay=0.05",
    "rate 100 burst 20": "rate=100,burst=20",
    "50 ms": "answer-delay=0.05",
}
CELLS = {**CHANCE, **LIMITS}
IDEAL_PER_S = {"rate 20 burst 2": 20.0, "12 at once": 240.0, "rate 100 burst 20": 100.0}


class Apart(FixedLimit):
    """A fixed limit under which each refused request waits by itself."""

    def on_end(self, now: float, ticket: Ticket, signal: Signal) -> None:
        """Release the slot."""
        if signal.kind is not SignalKind.ACCEPTED and signal.is_refusal:
            self._in_flight -= 1
        else:
            super().on_end(now, ticket, signal)


def serve(faults: str) -> None:
    """Serve until the standard input ends."""
    with sandbox_in_thread(SandboxConfig(faults=parse_faults(faults))) as sandbox:
        print(sandbox.url, flush=True)
        sys.stdin.read()
        refused = sum(one.file_id is None for one in sandbox.uploads)
        print(json.dumps({"requests": len(sandbox.uploads), "refused": refused}), flush=True)


def timed(folder: Path, manifest: Path, faults: str, concurrency: int | None) -> tuple[float, float]:
    """Return how long a whole run took, and which share of its requests was refused."""
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve", faults],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    ledger = folder / "run.ledger.db"
    began = time.perf_counter()
    result = upload(
        Job(manifest=str(manifest), root=str(folder), ledger=str(ledger), purpose="pre-train", force=True),
        api_key="key",
        base_url=url,
        settings=RunSettings(concurrency=concurrency, deadline_s=180.0, validate=ValidateMode.OFF),
    )
    lasted_s = time.perf_counter() - began
    assert result.states.get(EntryState.ACCEPTED, 0) > 0, result
    said, _ = server.communicate("")
    counts = json.loads(said.splitlines()[-1])
    for left in folder.glob("run.*"):
        left.unlink()
    return lasted_s, counts["refused"] / max(1, counts["requests"])


def cell(name: str, faults: str, count: int, rounds: int) -> str:
    """Run one cell and return its line."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number in range(count):
            (folder / f"{number}.jsonl").write_bytes(
                f'{{"text": "{number:09d}"}}\n'.encode() * (BODY_BYTES // 22)
            )
        manifest = folder / "manifest.jsonl"
        manifest.write_text("".join(f'{{"path": "{number}.jsonl"}}\n' for number in range(count)))
        numbers = (None,) if name in IDEAL_PER_S else (None, *FIXED)
        runs = [
            {number: timed(folder, manifest, faults, number) for number in numbers} for _ in range(rounds)
        ]
        lasted_s, refused = (median(run[None][at] for run in runs) for at in (0, 1))
        if name in IDEAL_PER_S:
            best, what = count / IDEAL_PER_S[name], "ideal"
        else:
            fixed = {number: median(run[number][0] for run in runs) for number in FIXED}
            number = min(fixed, key=fixed.__getitem__)
            best, what = fixed[number], f"{number} fixed"
    return f"| {name} | {lasted_s:.1f} s | {100 * refused:.1f} % | {best:.1f} s ({what}) | {best / lasted_s:.2f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", metavar="FAULTS", help=argparse.SUPPRESS)
    parser.add_argument("cells", nargs="*", metavar="CELL", help=f"of {', '.join(CELLS)}".replace("%", "%%"))
    given = parser.parse_args()
    if given.serve is not None:
        serve(given.serve)
        return
    vars(capped)["FixedLimit"] = Apart
    print("| cell | found | refused | best fixed | best / found |\n|---|---|---|---|---|")
    for name in given.cells or CELLS:
        count = min(given.files, 600) if name in ("rate 20 burst 2", "rate 100 burst 20") else given.files
        print(cell(name, CELLS[name], count, given.rounds), flush=True)


if __name__ == "__main__":
    main()
