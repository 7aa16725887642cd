"""`doctor --probe bundles`: two files in one request with the user's own key, after a question; nothing is left."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bulk_upload.exit_status import ExitStatus
from bulk_upload.sandbox import Sandbox, SandboxConfig, parse_faults, sandbox_in_thread
from tests.cli.stage import KEY, Ended, run_here


def probed(sandbox: Sandbox, *words: str) -> tuple[Ended, dict[str, Any]]:
    """Run the probe; return how it ended, and its checks by name."""
    ended = run_here("doctor", "--probe", "bundles", "--yes", "--json", *words, SEEKR_BASE_URL=sandbox.url)
    checks = [json.loads(line) for line in ended.stdout.decode().splitlines()]
    return ended, {one["name"]: one for one in checks}


def probe_with(faults: str) -> tuple[Ended, dict[str, Any], Sandbox]:
    config = SandboxConfig(keys=(KEY,), faults=parse_faults(faults))
    with sandbox_in_thread(config) as sandbox:
        ended, checks = probed(sandbox)
    return ended, checks, sandbox


def test_a_server_that_takes_bundles() -> None:
    """One request with two files, which are named in the answer, listed and deleted."""
    ended, checks, sandbox = probe_with("reversed")
    assert ended.status == ExitStatus.DONE, ended.text
    assert (sandbox.upload_count, sandbox.file_count) == (1, 2)
    assert sandbox.files == ()
    words = {name: checks[name]["words"] for name in ("probe bundle", "probe list", "probe delete")}
    assert words == {
        "probe bundle": "2 files in one request: each is in the answer, with its name and size",
        "probe list": "shows 2 of the 2 files under their names",
        "probe delete": "nothing of it is left",
    }


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ("bulk=no", "no such call"),
        ("left-out", "only 1 of 2"),
        ("422", "422"),
        ("drop-part", "2 files in one request"),
        ("stored-500", "500"),
        ("html", "not a list of files"),
    ],
)
def test_what_it_says_of_other_servers(faults: str, words: str) -> None:
    """Whatever the server does, the probe says so, warns, and leaves nothing there."""
    ended, checks, sandbox = probe_with(faults)
    assert ended.status == ExitStatus.DONE, ended.text
    assert checks["probe bundle"]["verdict"] == "warning"
    assert words in checks["probe bundle"]["words"]
    assert sandbox.files == ()


def test_it_asks_first() -> None:
    """Without a terminal, and without --yes, nothing is sent."""
    with sandbox_in_thread(SandboxConfig(keys=(KEY,))) as sandbox:
        ended = run_here("doctor", "--probe", "bundles", SEEKR_BASE_URL=sandbox.url)
        assert ended.status == ExitStatus.USAGE
        assert sandbox.upload_count == 0


def test_what_cannot_be_probed() -> None:
    """A profile without such a call is refused, and so is another word."""
    with sandbox_in_thread(SandboxConfig(keys=(KEY,), profile="openai")) as sandbox:
        words = ("doctor", "--probe", "bundles", "--yes", "--profile", "openai", "--base-url", sandbox.url)
        ended = run_here(*words, OPENAI_API_KEY=KEY)
        assert ended.status == ExitStatus.USAGE, ended.text
        assert "takes one file in a request" in ended.stderr
    ended = run_here("doctor", "--probe", "manifest.jsonl")
    assert ended.status == ExitStatus.USAGE
    assert "MANIFEST before --probe" in ended.stderr
