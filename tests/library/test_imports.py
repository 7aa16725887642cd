"""What an import costs: a program that starts, or only plans, waits for nothing that a run alone needs."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import bulk_upload
from bulk_upload.edge import ledger
from bulk_upload.sandbox import SandboxConfig, sandbox_in_thread
from tests.library.scenes import manifest_of

if TYPE_CHECKING:
    from pathlib import Path

ONLY_A_RUN = {"aiohttp", "bulk_upload.edge.transport"}
"""Of a second that `import` takes on a slow machine, the HTTP library takes more than half."""
ONLY_ON_REQUEST = {
    "IPython", "bulk_upload.cli", "bulk_upload.edge.convert", "bulk_upload.library.metrics", "bulk_upload.library.traces",
    "click", "pyarrow", "rich", "zstandard",
}  # fmt: skip

STARTS = """
import json, sys
import bulk_upload
bare = sorted(name for name in sys.modules if name.startswith("bulk_upload"))
from bulk_upload import Job, Uploader, plan, read_ledger, upload, upload_async
Uploader(api_key="key", concurrency=4).run("manifest.jsonl")
print(json.dumps([bare, sorted(sys.modules)]))
"""
RUNS = """
import json, sys
sys.modules["opentelemetry"] = None
from bulk_upload import plan, upload
url, manifest = sys.argv[1:]
plan(manifest, base_url=url)
planned = sorted(sys.modules)
assert upload(manifest, api_key="key", base_url=url, progress=True).ok
print(json.dumps([planned, sorted(sys.modules)]))
"""


def modules_of(script: str, *arguments: str) -> list[list[str]]:
    """Return the lists of modules that a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout)
    return found


def test_a_program_that_starts_waits_for_no_http_library() -> None:
    """Names are imported when they are first used, and an uploader is made without what sends."""
    bare, used = modules_of(STARTS)
    assert bare == ["bulk_upload", "bulk_upload.version"]
    assert "bulk_upload.library.calls" in used
    assert not (ONLY_A_RUN | ONLY_ON_REQUEST) & set(used)


def test_a_run_imports_what_it_needs_and_no_more(tmp_path: Path) -> None:
    """A plan sends nothing. Without terminal and telemetry a run needs neither; the extra may be missing."""
    with sandbox_in_thread(SandboxConfig()) as sandbox:
        planned, sent = modules_of(RUNS, sandbox.url, str(manifest_of(tmp_path, 1)))
    assert not (ONLY_A_RUN | ONLY_ON_REQUEST | {"tenacity"}) & set(planned)
    assert set(sent) >= ONLY_A_RUN
    assert not ONLY_ON_REQUEST & set(sent)


def test_every_public_name_has_one_home() -> None:
    """Where the table says, each name is; none is missing, none is in it twice."""
    names = [name for names in bulk_upload._HOMES.values() for name in names]
    assert sorted(names) == sorted(set(bulk_upload.__all__) - {"__version__"})
    assert all(hasattr(bulk_upload, name) for name in names)


def test_every_name_of_the_ledger_has_one_home() -> None:
    """Where the ledger's table says, each name is; none is missing, none is in it twice."""
    names = [name for names in ledger._HOMES.values() for name in names]
    assert sorted(names) == sorted(ledger.__all__)
    assert all(hasattr(ledger, name) for name in names)


def test_what_reads_a_ledger_waits_for_nothing_that_writes() -> None:
    """`status` and a program that reads results need SQLite, and neither an event loop nor what sends."""
    (modules,) = modules_of(
        "import json, sys\nfrom bulk_upload import read_ledger\nfrom bulk_upload.cli.commands import status\nprint(json.dumps([sorted(sys.modules)]))"
    )
    assert "sqlite3" in modules
    assert not {"asyncio", "aiohttp", "anyio", "bulk_upload.edge.ledger.writer"} & set(modules)
