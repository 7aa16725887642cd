"""Against servers that nobody here wrote; see docs/explanation/interop.md. `pytest -n 0 -m servers`"""

from __future__ import annotations

import asyncio
import hashlib
import json
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bulk_upload import (
    AttemptEnded,
    EntryState,
    Event,
    ExitStatus,
    Job,
    Result,
    RetryPolicy,
    RunSettings,
    ValidateMode,
    built_in_profile,
)
from bulk_upload.core.api.profile import FLOW, Profile
from bulk_upload.core.run.records import status_in
from bulk_upload.sandbox import Sandbox, SandboxConfig, parse_faults, sandbox_in_thread
from tests.cli.stage import run_here
from tests.hazards.gateways import nginx, prism, uvicorn
from tests.hazards.hazard_jobs import Chance, Impatient

pytestmark = pytest.mark.servers

MB = 1_000_000
KEY = "a-key-for-real-servers"


def files_in(folder: Path, sizes: dict[str, int]) -> dict[str, str]:
    """Write files and a manifest; return the hash of each."""
    hashes = {}
    for number, (name, size) in enumerate(sizes.items()):
        content = (b"%d-" % number * (size // 2 + 1))[:size]
        (folder / name).write_bytes(content)
        hashes[name] = hashlib.sha256(content).hexdigest()
    lines = [json.dumps({"path": name, "purpose": "fine-tune"}) for name in sizes]
    (folder / "m.jsonl").write_text("\n".join(lines))
    return hashes


@dataclass(frozen=True)
class Ran:
    """How a run ended, and how often each status was answered to an upload; None is no answer."""

    result: Result
    answers: Counter[int | None]

    @property
    def status(self) -> ExitStatus:
        """The exit code."""
        return self.result.status

    def count(self, state: EntryState) -> int:
        """How many entries are in a state."""
        return self.result.states.get(state, 0)


def run(
    folder: Path,
    url: str,
    *,
    attempts_max: int = 6,
    concurrency: int = 4,
    force: bool = False,
    profile: Profile = FLOW,
) -> Ran:
    """Run the job in a folder."""
    answers: Counter[int | None] = Counter()

    def hear(event: Event) -> None:
        if isinstance(event, AttemptEnded):
            answers[status_in(event.outcome)] += 1

    async def whole() -> Result:
        settings = RunSettings(
            validate=ValidateMode.OFF,
            concurrency=concurrency,
            settle_s=1.0,
            settle_answered_s=0.5,
            retry_policy=RetryPolicy(attempts_max=attempts_max, backoff_s_initial=0.2, backoff_s_max=1.0),
        )
        async with Impatient(
            api_key=KEY, base_url=url, profile=profile, settings=settings, clock=Chance(0.5), on_event=hear
        ) as up:
            return await up.run(Job(manifest=str(folder / "m.jsonl"), force=force))

    return Ran(asyncio.run(whole()), answers)


def assert_stored_once(sandbox: Sandbox, hashes: dict[str, str]) -> None:
    """The sandbox has each file once, and no other."""
    assert sorted(file.sha256 for file in sandbox.files) == sorted(hashes.values())


MANY = {f"file {number} é.jsonl": 100 + number for number in range(30)} | {"large.jsonl": MB}


@pytest.mark.parametrize("gateway", ["buffered", "unbuffered", "unlingering"])
def test_nginx_takes_files_and_refuses_what_is_too_large(tmp_path: Path, gateway: str) -> None:
    """With request buffering and without: small files are stored once, a too large one is rejected as 413."""
    with sandbox_in_thread() as sandbox, nginx(tmp_path, files_url=sandbox.url) as urls:
        hashes = files_in(tmp_path, MANY | {"too large.jsonl": 9 * MB})
        result = run(tmp_path, urls[gateway])
        assert result.count(EntryState.ACCEPTED) == len(MANY)
        assert result.answers[413] == 1
        assert result.status is ExitStatus.SOME_FAILED
        del hashes["too large.jsonl"]
        assert_stored_once(sandbox, hashes)


@pytest.mark.parametrize("gateway", ["limited", "limited_with_wait"])
def test_nginx_limits_the_rate(tmp_path: Path, gateway: str) -> None:
    """429 of `limit_req`, with Retry-After and without, slows the run and fails nothing."""
    with sandbox_in_thread() as sandbox, nginx(tmp_path, files_url=sandbox.url) as urls:
        hashes = files_in(tmp_path, MANY)
        result = run(tmp_path, urls[gateway], concurrency=8)
        assert result.status is ExitStatus.DONE
        assert result.answers[429] > 0
        assert_stored_once(sandbox, hashes)


def test_nginx_without_its_upstream(tmp_path: Path) -> None:
    """502 of a dead upstream: the list is asked, nothing is stored, all of it is left for the next run."""
    with sandbox_in_thread() as sandbox, nginx(tmp_path, files_url=sandbox.url) as urls:
        files_in(tmp_path, {"a.jsonl": 100, "b.jsonl": 300_000})
        result = run(tmp_path, urls["dead_uploads"], attempts_max=2)
        assert result.status is ExitStatus.UNFINISHED
        assert result.count(EntryState.PENDING) == 2
        assert result.answers == {502: 4}
        assert sandbox.files == ()
        assert len(sandbox.journal) >= 2


@pytest.mark.parametrize("gateway", ["impatient", "impatient_unbuffered"])
def test_nginx_gives_up_waiting_for_a_stored_file(tmp_path: Path, gateway: str) -> None:
    """504 of a gateway whose upstream stored the file: found in the list, adopted, and not sent again."""
    config = SandboxConfig(faults=parse_faults("delay:3,delay:3"))
    with sandbox_in_thread(config) as sandbox, nginx(tmp_path, files_url=sandbox.url) as urls:
        hashes = files_in(tmp_path, {"a.jsonl": 100, "b.jsonl": 3 * MB, "c.jsonl": 50})
        result = run(tmp_path, urls[gateway])
        assert result.status is ExitStatus.DONE
        assert result.answers == {200: 1, 504: 2}
        assert_stored_once(sandbox, hashes)


def stored_at(url: str) -> list[dict[str, Any]]:
    """Return what the Starlette application has."""
    with urllib.request.urlopen(f"{url}/v1/flow/files?limit=1000&offset=0") as answer:
        files: list[dict[str, Any]] = json.load(answer)["data"]
        return files


def test_uvicorn_and_starlette_store_names_and_bytes(tmp_path: Path) -> None:
    """Another parser reads the same names and the same bytes; what is too large is refused early and rejected."""
    odd = {"a b.jsonl": 10, "naïve.jsonl": 0, "雪.jsonl": 1, "50% off+.jsonl": 300_000, "';x.jsonl": 2 * MB}
    with uvicorn(tmp_path) as url:
        hashes = files_in(tmp_path, MANY | odd | {"too large.jsonl": 9 * MB})
        result = run(tmp_path, url)
        assert result.status is ExitStatus.SOME_FAILED
        assert result.answers[413] == 1
        del hashes["too large.jsonl"]
        assert {one["filename"]: one["sha256"] for one in stored_at(url)} == hashes
        assert len(stored_at(url)) == len(hashes)


def test_uvicorn_refuses_more_connections_than_it_wants(tmp_path: Path) -> None:
    """503 of `--limit-concurrency`, which names no wait: asked for, sent again, stored once."""
    with uvicorn(tmp_path, "--limit-concurrency", "4") as url:
        hashes = files_in(tmp_path, MANY)
        result = run(tmp_path, url, concurrency=6, attempts_max=30)
        assert result.status is ExitStatus.DONE
        assert result.answers[503] > 0
        assert sorted(one["sha256"] for one in stored_at(url)) == sorted(hashes.values())


def test_uvicorn_closes_idle_connections(tmp_path: Path) -> None:
    """A server that keeps idle connections for no time at all loses no file and gets none twice."""
    with uvicorn(tmp_path, "--timeout-keep-alive", "0") as url:
        hashes = files_in(tmp_path, MANY)
        assert run(tmp_path, url, concurrency=1).status is ExitStatus.DONE
        assert sorted(one["sha256"] for one in stored_at(url)) == sorted(hashes.values())


def test_prism_finds_the_request_as_described(tmp_path: Path) -> None:
    """A mock made from the API's description checks path, header and form of an upload, and is content."""
    with prism(tmp_path) as url:
        files_in(tmp_path, {"a b.jsonl": 100})
        result = run(tmp_path, url)
        assert result.status is ExitStatus.DONE


def test_prism_refuses_another_purpose(tmp_path: Path) -> None:
    """A purpose that the description does not have is a 422 about this file."""
    with prism(tmp_path) as url:
        files_in(tmp_path, {"a.jsonl": 100})
        manifest = tmp_path / "m.jsonl"
        manifest.write_text(manifest.read_text().replace("fine-tune", "no-such-purpose"))
        result = run(tmp_path, url, force=True)
        assert result.answers == {422: 1}
        assert result.status is ExitStatus.SOME_FAILED


def test_prism_gives_everybody_the_same_id(tmp_path: Path) -> None:
    """Of a server that gives one id to two files neither answer is believed, and nothing is sent again."""
    with prism(tmp_path) as url:
        files_in(tmp_path, {"a.jsonl": 100, "b.jsonl": 200})
        result = run(tmp_path, url)
        assert result.status is ExitStatus.IN_DOUBT
        assert result.count(EntryState.IN_DOUBT) == 2
        assert result.answers == {200: 2}


def test_prism_finds_requests_as_openai_describes_them(tmp_path: Path) -> None:
    """A mock made from OpenAI's own description takes our upload and our list; its made-up answer leaves a doubt."""
    with prism(tmp_path, "openai_files_api.yaml") as url:
        files_in(tmp_path, {"a b.jsonl": 100})
        result = run(tmp_path, url, attempts_max=1, profile=built_in_profile("openai"))
        assert result.answers == {200: 1}
        assert result.status is ExitStatus.IN_DOUBT


def test_prism_refuses_what_openai_does_not_describe(tmp_path: Path) -> None:
    """A purpose that OpenAI does not have is a refusal of this file."""
    with prism(tmp_path, "openai_files_api.yaml") as url:
        files_in(tmp_path, {"a.jsonl": 100})
        manifest = tmp_path / "m.jsonl"
        manifest.write_text(manifest.read_text().replace("fine-tune", "no-such-purpose"))
        result = run(tmp_path, url, force=True, profile=built_in_profile("openai"))
        assert result.answers == {422: 1}
        assert result.status is ExitStatus.SOME_FAILED


def test_a_proxy_that_repeats_an_upload_is_found_out(tmp_path: Path) -> None:
    """nginx counts PUT as idempotent and sends it to the next upstream: the copy it makes is found and removed."""
    # The bytes are kept: a duplicate is deleted only where its content is what was sent.
    config = SandboxConfig(directory=str(tmp_path / "kept"), faults=parse_faults("drop-stored"))
    with sandbox_in_thread(config) as sandbox, nginx(tmp_path, files_url=sandbox.url) as urls:
        hashes = files_in(tmp_path, {"a.jsonl": 100, "b.jsonl": 200})
        result = run(tmp_path, urls["repeating"], concurrency=1)
        assert result.status is ExitStatus.DONE
        assert result.answers == {200: 2}
        assert len(sandbox.files) == 3
        verified = run_here("verify", result.result.ledger, SEEKR_API_KEY=KEY)
        assert verified.status == ExitStatus.DIFFERENCES
        assert "duplicate" in verified.text
        undo = ("undo", result.result.ledger, "--only", "duplicates", "--yes")
        # Every answer arrived: the copy may as well be another job's, so a person has to name it.
        kept = run_here(*undo, SEEKR_API_KEY=KEY)
        assert kept.status == ExitStatus.SOME_FAILED, kept.text
        assert len(sandbox.files) == 3
        copies = [line.split()[1] for line in kept.text.splitlines() if line.startswith("kept ")]
        undone = run_here(*undo, *copies, SEEKR_API_KEY=KEY)
        assert undone.status == ExitStatus.DONE, undone.text
        assert_stored_once(sandbox, hashes)
        assert run_here("verify", result.result.ledger, SEEKR_API_KEY=KEY).status == ExitStatus.DONE
