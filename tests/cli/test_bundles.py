"""`--bundle` from the command line, the configuration file and Python: several small files in one request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import bulk_upload
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.sandbox import Sandbox, SandboxConfig, parse_faults, sandbox_in_thread
from tests.cli.stage import KEY, run_here

COUNT = 20


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(SandboxConfig(keys=(KEY,), memory_bytes=1_000_000)) as sandbox:
        yield sandbox


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with small files and a manifest of them."""
    monkeypatch.chdir(tmp_path)
    lines = []
    for number in range(COUNT):
        (tmp_path / f"{number}.jsonl").write_text(f'{{"text": "number {number}"}}\n')
        lines.append(json.dumps({"path": f"{number}.jsonl", "purpose": "pre-train"}))
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def require_each_once(sandbox: Sandbox) -> None:
    assert sorted(one.filename for one in sandbox.files) == sorted(
        f"{number}.jsonl" for number in range(COUNT)
    )


def test_run_says_requests_and_files(folder: Path, sandbox: Sandbox) -> None:
    """The summary, `status`, the report and the log count both; a rerun does nothing."""
    arguments = (
        "run",
        "manifest.jsonl",
        "--ledger",
        "l.db",
        "--bundle",
        "8",
        "--log-format",
        "json",
        "--log-file",
        "log",
        "-vv",
    )
    ended = run_here(*arguments, SEEKR_BASE_URL=sandbox.url)
    assert ended.status == ExitStatus.DONE, ended.text
    require_each_once(sandbox)
    assert (sandbox.upload_count, sandbox.file_count) == (3, COUNT)
    assert "3 requests with 20 files." in ended.stderr
    assert "requests      3, with 20 files in them" in run_here("status", "l.db").text
    facts = json.loads(run_here("status", "l.db", "--json").stdout)
    assert (facts["request_count"], facts["sent_count"]) == (3, COUNT)
    records = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    begun = [one["bundle_id"] for one in records if one["event"] == "attempt_started"]
    assert (len(begun), len(set(begun))) == (COUNT, 3)
    assert run_here("report", "l.db", "-o", "report.html").status == 0
    assert "several files in one" in (folder / "report.html").read_text()
    again = run_here(*arguments, SEEKR_BASE_URL=sandbox.url)
    assert again.status == ExitStatus.DONE
    assert sandbox.upload_count == 3


def test_plan_says_what_bundles_save(folder: Path) -> None:
    """`plan` counts the requests, without a key; `run --dry-run` says the same."""
    line = "Bundles: 20 files in 3 requests (--bundle 8), 17 fewer than one by one"
    assert line in run_here("plan", "manifest.jsonl", "--bundle", "8", SEEKR_API_KEY=None).text
    assert line in run_here("run", "manifest.jsonl", "--bundle", "8", "--dry-run").text
    facts = json.loads(run_here("plan", "manifest.jsonl", "--bundle", "8", "--json").stdout)
    assert (facts["bundle_count"], facts["bundled_file_count"]) == (3, COUNT)
    assert "Bundles" not in run_here("plan", "manifest.jsonl").text


def test_the_configuration_file_and_a_folder(folder: Path, sandbox: Sandbox) -> None:
    """`bundle` in bulk-upload.toml, for a job that is a folder."""
    (folder / "manifest.jsonl").unlink()
    data = folder / "data"
    data.mkdir()
    for path in folder.glob("*.jsonl"):
        path.rename(data / path.name)
    (folder / "bulk-upload.toml").write_text(
        '[jobs.all]\nmanifest = "data"\npurpose = "pre-train"\nbundle = 10\n'
    )
    ended = run_here("run", "--job", "all", "-y", SEEKR_BASE_URL=sandbox.url)
    assert ended.status == ExitStatus.DONE, ended.text
    require_each_once(sandbox)
    assert sandbox.upload_count == 2


@pytest.mark.parametrize("value", ["1", "65", "0", "x"])
def test_what_is_no_bundle(folder: Path, value: str) -> None:
    """From 2 to 64 files."""
    ended = run_here("run", "manifest.jsonl", "--bundle", value)
    assert ended.status == ExitStatus.USAGE
    assert "--bundle" in ended.stderr


def test_a_profile_without_bundles(folder: Path) -> None:
    """Where the API has no such call, asking for bundles is refused before anything happens."""
    for command in ("plan", "run"):
        ended = run_here(
            command, "manifest.jsonl", "--bundle", "8", "--profile", "openai", OPENAI_API_KEY="x"
        )
        assert ended.status == ExitStatus.USAGE, ended.text
        assert "takes one file in a request" in ended.stderr


def test_one_bad_file(folder: Path, sandbox: Sandbox) -> None:
    """A refused bundle: the right file is rejected, and all others are accepted, each once."""
    sandbox.use_faults(parse_faults("refuse-name=13.json"))
    ended = run_here("run", "manifest.jsonl", "--bundle", "64", "--settle", "0s", SEEKR_BASE_URL=sandbox.url)
    assert ended.status == ExitStatus.SOME_FAILED, ended.text
    assert len(sandbox.files) == COUNT - 1
    assert "13.jsonl" in ended.stderr


def test_from_python(folder: Path, sandbox: Sandbox) -> None:
    """`upload(..., bundle=)` sends the same requests; a number that cannot be is refused."""
    result = bulk_upload.upload("manifest.jsonl", api_key=KEY, base_url=sandbox.url, bundle=16)
    assert result.ok
    require_each_once(sandbox)
    assert sandbox.upload_count == 2
    with pytest.raises(UsageError, match="bundle cannot be 1"):
        bulk_upload.upload("manifest.jsonl", api_key=KEY, base_url=sandbox.url, bundle=1)
