"""Each built-in profile against the sandbox's dialect of its vendor, which the vendors' own clients work with, too."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from bulk_upload.core.api.profile import BUILT_IN_NAMES
from bulk_upload.core.report.proof import Evidence
from bulk_upload.core.vendor_purposes import VENDOR_PURPOSES
from bulk_upload.edge.profiles import BUILT_IN, preset
from bulk_upload.exit_status import ExitStatus
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.cli.stage import KEY, run_here

LEDGER = "m.ledger.db"
NAMES = [*(f"{number}.jsonl" for number in range(8)), "naïve ä.jsonl"]


def line_of(purpose: str, number: int) -> str:
    """Return a line that is good for a purpose."""
    if purpose == "batch":
        request = {"method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}
        return json.dumps({"custom_id": f"c{number}", **request})
    turns = [{"role": "user", "content": f"q{number}"}, {"role": "assistant", "content": "a"}]
    return json.dumps({"messages": turns})


@pytest.mark.parametrize("name", BUILT_IN_NAMES)
def test_a_job_with_each_profile(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploaded, with an answer lost to a 500 of a stored file; verified and deleted as far as the profile says."""
    monkeypatch.chdir(tmp_path)
    profile, proof = BUILT_IN[name], preset(name).proof
    purpose = "batch" if "batch" in profile.purposes else profile.purposes[0]
    rows = []
    for number, file in enumerate(NAMES):
        text = "\n".join(line_of(purpose, one) for one in range(number + 1)) + "\n"
        (tmp_path / file).write_text(text)
        rows.append(json.dumps({"path": file, "purpose": purpose}))
    (tmp_path / "m.jsonl").write_text("\n".join(rows) + "\n")
    config = SandboxConfig(
        profile=name, directory=str(tmp_path / "server"), keys=(KEY,), faults=parse_faults("stored-500")
    )
    with sandbox_in_thread(config) as sandbox:
        env = {str(profile.key_variable): KEY}
        job = ("run", "m.jsonl", "--profile", name, "--base-url", sandbox.url, "--ledger", LEDGER)
        ended = run_here(*job, "--settle", "0s", "--concurrency", "1", **env)
        settles = profile.list_decides
        assert ended.status == (ExitStatus.DONE if settles else ExitStatus.IN_DOUBT), ended.stderr
        assert len(sandbox.files) == len(NAMES)
        if proof.verify is not Evidence.NO:
            ended = run_here("verify", LEDGER, **env)
            assert "Differences" not in ended.stderr or "orphan" in ended.stdout.decode(), ended.text
            assert ended.status == (ExitStatus.DONE if settles else ended.status), ended.text
        if proof.content is not Evidence.NO:
            ended = run_here("verify", LEDGER, "--content", **env)
            assert f"compared: {len(NAMES) - (not settles)}" in ended.stderr, ended.text
        if proof.undo is not Evidence.NO:
            ended = run_here("undo", LEDGER, "--adopted", "--yes", **env)
            assert ended.status == 0, ended.text
            assert len(sandbox.files) == (0 if settles else 1)


@pytest.mark.parametrize("name", ["openai", "llama-stack", "groq", "anthropic", "litellm"])
def test_faults_double_nothing_in_any_dialect(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers that are lost, and failures of what was stored: no file twice, no wrong receipt, every doubt is named."""
    monkeypatch.chdir(tmp_path)
    profile = BUILT_IN[name]
    purpose = "batch" if "batch" in profile.purposes else profile.purposes[0]
    rows, hashes = [], {}
    for number in range(16):
        data = "".join(f"{line_of(purpose, one)}\n" for one in range(number + 1)).encode()
        (tmp_path / f"{number}.jsonl").write_bytes(data)
        hashes[f"{number}.jsonl"] = hashlib.sha256(data).hexdigest()
        rows.append(json.dumps({"path": f"{number}.jsonl", "purpose": purpose}))
    (tmp_path / "m.jsonl").write_text("\n".join(rows) + "\n")
    faults = "drop-stored@20%,stored-500@20%,stored-504@10%,no-id@10%,drop-mid@10%,429:0@10%,budget=2"
    config = SandboxConfig(
        profile=name, directory=str(tmp_path / "server"), keys=(KEY,), faults=parse_faults(faults)
    )
    with sandbox_in_thread(config) as sandbox:
        env = {str(profile.key_variable): KEY}
        where = ("--profile", name, "--base-url", sandbox.url, "--ledger", LEDGER)
        job = ("run", "m.jsonl", *where, "--settle", "1s", "--concurrency", "4")
        ended, runs = run_here(*job, **env), 1
        while ended.status != ExitStatus.DONE and runs < (8 if profile.list_decides else 2):
            ended, runs = run_here(*job, **env), runs + 1
        stored = {one.file_id: one.sha256 for one in sandbox.files}
    exported = run_here("ledger", "export", LEDGER, "--format", "jsonl").stdout.splitlines()
    found = {row["path"]: row for row in map(json.loads, exported)}
    assert len(set(stored.values())) == len(stored)
    for path, row in found.items():
        if row["status"] == "accepted":
            assert stored[row["file_id"]] == hashes[path]
        else:
            assert (row["status"], bool(row["reason"])) == ("in_doubt", True)
    assert profile.list_decides <= (ended.status == ExitStatus.DONE)


def test_a_profile_written_from_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's profile of a made-up vendor: a lost answer is found, contents are compared, and all is deleted."""
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "vendors.md").read_text("utf-8")
    written = page.partition("```toml\n")[2].partition("```")[0]
    assert "[profiles.acme]" in written
    assert len(written.splitlines()) < 40
    (tmp_path / "bulk-upload.toml").write_text(written)
    for number in range(5):
        (tmp_path / f"{number}.jsonl").write_text(line_of("batch", number) + "\n")
    rows = [json.dumps({"path": f"{number}.jsonl", "purpose": "batch"}) for number in range(5)]
    (tmp_path / "m.jsonl").write_text("\n".join(rows) + "\n")
    config = SandboxConfig(
        profile="mistral", directory=str(tmp_path / "server"), keys=(KEY,), faults=parse_faults("drop-stored")
    )
    with sandbox_in_thread(config) as sandbox:
        env = {"ACME_API_KEY": KEY, "ACME_BASE_URL": sandbox.url}
        job = ("run", "m.jsonl", "--profile", "acme", "--ledger", LEDGER, "--settle", "0s")
        ended = run_here(*job, "--concurrency", "1", **env)
        assert ended.status == 0, ended.stderr
        assert "1 entry accepted through the server's list" in ended.stderr
        ended = run_here("verify", LEDGER, "--content", **env)
        assert (ended.status, "compared: 5" in ended.stderr) == (0, True), ended.text
        assert run_here("undo", LEDGER, "--adopted", "--yes", **env).status == 0
        assert sandbox.files == ()


@pytest.mark.parametrize("name", VENDOR_PURPOSES)
def test_the_rules_are_those_of_the_profiles_purposes(name: str) -> None:
    """No rules are known for a purpose that the profile does not have."""
    assert {one.name for one in VENDOR_PURPOSES[name]} <= set(BUILT_IN[name].purposes)
