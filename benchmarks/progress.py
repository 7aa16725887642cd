"""What the live display costs a run of many small files: the same run with it, on a terminal, and without.

    python benchmarks/progress.py [--files 10000] [--bytes 4096] [--rounds 5] [--concurrency 8]

Both go against `sink.py`, a server in another process that answers at once, so that nothing hides what the client does.
`live` has a pseudo-terminal of 120 x 40 that is read all the time, `lines` the same with `--no-progress`. They are run
in turn; the ratios are of the medians and of the least, which tell more where others use the machine. Expected: four frames a second of a few
milliseconds each, and a few dict operations an event: 1 to 3 %.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser()
    for name, default in (("files", 10_000), ("bytes", 4096), ("rounds", 5), ("concurrency", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _sink() as sink:
        assert sink.stdout is not None
        url = sink.stdout.readline().strip()
        manifest = _lay_out(Path(folder), wanted.files, wanted.bytes)
        times: dict[str, list[tuple[float, float]]] = {"live": [], "lines": []}
        for number in range(wanted.rounds):
            for kind in sorted(times, reverse=bool(number % 2)):
                times[kind].append(_run(manifest, url, kind, wanted.concurrency))
        sink.terminate()
    told: dict[str, object] = {"files": wanted.files, "bytes": wanted.bytes, "rounds": wanted.rounds}
    for place, name in enumerate(("wall", "cpu")):
        for how, of in (("median", statistics.median), ("least", min)):
            live, lines = (of([one[place] for one in times[kind]]) for kind in ("live", "lines"))
            told[f"{how} {name}"] = {
                "live_s": round(live, 3),
                "lines_s": round(lines, 3),
                "ratio": round(live / lines, 3),
            }
    print(json.dumps(told))


def _sink() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("sink.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _lay_out(folder: Path, file_count: int, file_bytes: int) -> Path:
    manifest = folder / "m.jsonl"
    with manifest.open("w") as lines:
        for number in range(file_count):
            (folder / f"{number:06d}.jsonl").write_bytes(b"x" * file_bytes)
            lines.write(f'{{"path": "{number:06d}.jsonl", "purpose": "pre-train"}}\n')
    return manifest


def _run(manifest: Path, url: str, kind: str, concurrency: int) -> tuple[float, float]:
    for old in manifest.parent.glob("*ledger.db*"):
        old.unlink()
    command = [
        sys.executable,
        "-m",
        "bulk_upload",
        "run",
        str(manifest),
        "--base-url",
        url,
        "--results",
        "none",
    ]
    command += ["--concurrency", str(concurrency), *(["--no-progress"] if kind == "lines" else [])]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    env = {**os.environ, "SEEKR_API_KEY": "sink", "TERM": "xterm-256color"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as run:
        os.close(theirs)
        seen = _read_all(ours)
    os.close(ours)
    if run.returncode:
        raise RuntimeError(seen.decode("utf-8", "replace")[-2000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, cpu_s


def _read_all(terminal: int) -> bytes:
    seen = bytearray()
    while True:
        try:
            data = os.read(terminal, 1 << 16)
        except OSError:
            return bytes(seen)
        if not data:
            return bytes(seen)
        seen += data


if __name__ == "__main__":
    main()
