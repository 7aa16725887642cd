"""Servers that people run themselves, which others wrote: see docs/explanation/interop.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bulk_upload.sandbox import Habit, Sandbox, SandboxConfig, sandbox_in_thread
from tests.hazards.gateways import litellm, llama_stack
from tests.interop.killed_jobs import LEDGER, Server, kill_in_mid_run, lay_out, twice

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1200)]

FILES = 200
AT_ONCE = 8
KEY = Server.key
UPSTREAM_KEY = "sk-upstream"

LISTING_GATEWAY = """
[profiles.gateway]
base-url = "http://localhost:4000"
method = "POST"
files-path = "/v1/files"
file-field = "file"
purpose-field = "purpose"
purposes = ["batch"]
key-variable = "GATEWAY_API_KEY"
can-list = true
paging = "none"
complete = "one-page"
keeps-names = true
"""


def odd_names() -> list[str]:
    """Return names that llama-stack would change, two of which become one when they are spelt with what it keeps."""
    odd = ["naïve ä {}.jsonl", ".hidden {}.jsonl", "a..b {}.jsonl", "日本 {}.jsonl"]
    names = [odd[number % 4].format(f"{number:03}") for number in range(FILES - 2)]
    return [*names, "é.jsonl", "è.jsonl"]


def rows(server: Server) -> dict[str, dict[str, Any]]:
    """Return what the ledger says of each entry."""
    ended = server.command("ledger", "export", LEDGER, "--format", "jsonl")
    return {row["path"]: row for row in map(json.loads, ended.stdout.splitlines())}


def test_llama_stack_has_each_file_once_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that it would change, seconds that many files share, a kill in mid-run: none is lost, none is there twice."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, odd_names())
    job = ("run", "m.jsonl", "--profile", "llama-stack", "--ledger", LEDGER, "--settle", "10s")
    with llama_stack(tmp_path) as url:
        server = Server(url=url, variables={"LLAMA_STACK_API_KEY": KEY, "LLAMA_STACK_BASE_URL": f"{url}/v1"})
        kill_in_mid_run(
            tmp_path,
            [*job, "--concurrency", str(AT_ONCE)],
            variables=server.variables,
            count=lambda: len(server.files()),
            at=FILES // 4,
        )
        ended = server.command(*job)
        assert ended.status == 0, ended.text
        files = server.files()
        assert (len(files), twice([one for one in files if one["filename"] != "e.jsonl"])) == (FILES, [])
        assert len({one["created_at"] for one in files}) < FILES
        assert {one["status"] for one in rows(server).values()} == {"accepted"}
        for words in (("verify", LEDGER), ("verify", LEDGER, "--content")):
            ended = server.command(*words)
            assert ended.status == 0, ended.text
        assert f"Downloaded and compared: {FILES}." in ended.stderr
        assert server.command("undo", LEDGER, "--adopted", "--yes").status == 0
        assert server.files() == []


@contextmanager
def gateway(folder: Path, *, lists: bool) -> Iterator[tuple[Server, Sandbox]]:
    """Run LiteLLM in front of the sandbox's OpenAI dialect, whose files share seconds."""
    config = SandboxConfig(
        profile="openai",
        directory=str(folder / "upstream"),
        keys=(UPSTREAM_KEY,),
        habits=(Habit.EQUAL_TIMES,),
    )
    name = "GATEWAY" if lists else "LITELLM"
    with (
        sandbox_in_thread(config) as sandbox,
        litellm(folder, files_url=sandbox.url, files_key=UPSTREAM_KEY, key=KEY, lists=lists) as url,
    ):
        variables = {f"{name}_API_KEY": KEY} | ({} if lists else {"LITELLM_BASE_URL": url})
        yield Server(url=url, variables=variables), sandbox


def test_litellm_leaves_to_a_person_what_it_cannot_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed run leaves no more in doubt than was in flight, says why, and doubles nothing."""
    monkeypatch.chdir(tmp_path)
    # It loads the certificates before its first request, and fails where there are none.
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    lay_out(tmp_path, odd_names())
    job = ("run", "m.jsonl", "--profile", "litellm", "--ledger", LEDGER)
    with gateway(tmp_path, lists=False) as (server, sandbox):
        kill_in_mid_run(
            tmp_path,
            [*job, "--concurrency", str(AT_ONCE)],
            variables=server.variables,
            count=lambda: len(sandbox.files),
            at=FILES // 4,
        )
        ended = server.command(*job)
        doubtful = {path: row for path, row in rows(server).items() if row["status"] == "in_doubt"}
        assert ended.status == (4 if doubtful else 0), ended.text
        assert len(doubtful) <= AT_ONCE
        assert all("list cannot decide this" in row["reason"] for row in doubtful.values())
        names = [one.filename for one in sandbox.files]
        assert len(set(names)) == len(names) >= FILES - len(doubtful)
        # Who sees at the upstream that they are not there has them sent.
        lost = sorted(set(doubtful) - set(names))
        if lost:
            assert server.command("resolve", LEDGER, "resend", *lost, "--yes").status == 0
            server.command(*job)
        assert sorted(one.filename for one in sandbox.files) == sorted(odd_names())


def test_litellm_that_lists_settles_its_doubts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its operator gave it the upstream's key in the environment, it lists: the same as with any OpenAI server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    lay_out(tmp_path, odd_names())
    with gateway(tmp_path, lists=True) as (server, sandbox):
        (tmp_path / "bulk-upload.toml").write_text(LISTING_GATEWAY)
        job = ("run", "m.jsonl", "--profile", "gateway", "--base-url", server.url, "--ledger", LEDGER)
        kill_in_mid_run(
            tmp_path,
            [*job, "--concurrency", str(AT_ONCE)],
            variables=server.variables,
            count=lambda: len(sandbox.files),
            at=FILES // 4,
        )
        ended = server.command(*job, "--settle", "10s")
        assert ended.status == 0, ended.text
        assert sorted(one.filename for one in sandbox.files) == sorted(odd_names())
        for words in (("verify", LEDGER), ("verify", LEDGER, "--content")):
            ended = server.command(*words)
            assert ended.status == 0, ended.text
        assert f"Downloaded and compared: {FILES}." in ended.stderr
        assert server.command("undo", LEDGER, "--adopted", "--yes").status == 0
        assert sandbox.files == ()
