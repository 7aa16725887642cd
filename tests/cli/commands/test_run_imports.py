"""What `run` imports before its first request. Time is not measured here: modules are what start-up consists of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.library.scenes import manifest_of

if TYPE_CHECKING:
    from pathlib import Path

CONNECTS = """
import json, os, sys

def at_first_connection(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        os.write(1, json.dumps(sorted(sys.modules)).encode())
        os._exit(0)

sys.addaudithook(at_first_connection)
from bulk_upload.engine.sending import late_imports
late_imports.LATE_S = 3600.0
from bulk_upload.cli import main
main()
"""
"""Runs a command up to its first connection, which is not made."""

NEEDED_BY_SOME_RUNS = {
    "IPython", "aiohttp.web", "difflib", "obstore", "opentelemetry", "pathspec", "pyarrow", "rich", "tenacity",
    "tomllib", "zipfile", "zstandard",
}  # fmt: skip
"""A folder with patterns, a failure, an agent, a display, a mistake, an extra."""

OTHER_WORK = (
    "cli.commands.plan", "cli.folder.asking", "cli.folder.left_out", "cli.folder.uploading", "cli.output.goodbye",
    "cli.output.metrics_file", "cli.output.notify", "cli.output.run_results", "cli.output.serving", "core.dataset.survey",
    "core.fleet.messages", "core.pack", "edge.convert", "edge.fleet", "edge.folder.heads", "edge.folder.walk", "edge.pack",
    "edge.validation.survey.surveyor", "engine.fleet", "engine.folder.scan", "engine.pack", "job_fleet", "job_folder",
    "job_ledger", "library.calls", "report.dataset", "report.page", "sandbox",
)  # fmt: skip
VALIDATION = (
    "core.shapes.layouts",
    "core.validation.checker",
    "edge.validation",
    "engine.validation.file_validator",
)

OWN_MAX = {"off": 350, "ahead": 422}
"""How many modules of our own a run of a manifest may import before its first request, by `--validate`. A quarter of a
millisecond is saved by each that is imported where it is used."""


def modules_before_sending(folder: Path, validate: str) -> list[str]:
    """Return the names of what a run has imported when it connects."""
    words = ["run", str(manifest_of(folder, 1)), "--base-url", "http://127.0.0.1:9", "--validate", validate]
    environment = os.environ | {"SEEKR_API_KEY": "key"}
    done = subprocess.run(
        [sys.executable, "-c", CONNECTS, *words],
        capture_output=True,
        check=False,
        env=environment,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr.decode()
    names: list[str] = json.loads(done.stdout)
    return names


@pytest.mark.parametrize("validate", list(OWN_MAX))
def test_what_some_runs_need_waits_until_it_is_needed(tmp_path: Path, validate: str) -> None:
    """Before the first request a run of a manifest imports what makes the plan and sends, and no more."""
    names = modules_before_sending(tmp_path, validate)
    own = [one.removeprefix("bulk_upload.") for one in names if one.startswith("bulk_upload.")]
    early = [one for one in own if one.startswith(OTHER_WORK)]
    if validate == "off":
        early += [one for one in own if one.startswith(VALIDATION)]
    assert "engine.assembly" in own
    assert sorted(NEEDED_BY_SOME_RUNS.intersection(names)) == []
    assert early == []
    rooms = Counter(".".join(one.split(".")[:2]) for one in own)
    assert len(own) <= OWN_MAX[validate], rooms.most_common()
