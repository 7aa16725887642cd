"""`doctor` against a real server: what is in the way of a run is found before there is one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bulk_upload.exit_status import ExitStatus
from bulk_upload.sandbox import SandboxConfig, sandbox_in_thread
from tests.cli.stage import KEY, run_here


def checks(*arguments: str, **env: str | None) -> tuple[int, dict[str, str], dict[str, str]]:
    """Exit code, verdicts and words by check."""
    ended = run_here("doctor", "--format", "json", *arguments, **env)
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert KEY not in ended.text
    assert all(row["remedy"] for row in rows if row["verdict"] == "warning"), rows
    return (
        ended.status,
        {row["name"]: row["verdict"] for row in rows},
        {row["name"]: row["words"] for row in rows},
    )


def test_all_is_well(desk: Path) -> None:
    """Every check is fine, in words and in JSON, and nothing was sent or made."""
    with sandbox_in_thread(SandboxConfig(keys=(KEY,))) as sandbox:
        before = sorted(desk.rglob("*"))
        status, verdicts, words = checks("good.jsonl", SEEKR_BASE_URL=sandbox.url)
        assert not sandbox.files
        assert sorted(desk.rglob("*")) == before
        ended = run_here("doctor", "good.jsonl", SEEKR_BASE_URL=sandbox.url)
    assert (status, ended.status, ended.stderr) == (0, 0, "")
    assert set(verdicts) == {
        "versions", "packages", "settings", "key", "proxy", "tls", "server", "key accepted", "clock", "descriptors", "ledger",
        "disk",
    }  # fmt: skip
    assert {verdicts[name] for name in set(verdicts) - {"disk"}} == {"ok"}
    assert ended.stdout.decode().startswith("ok       versions      bulk-upload ")
    assert "good@127.0.0.1" in words["ledger"]


def test_a_key_that_is_missing_misshapen_or_refused(desk: Path, server: str) -> None:
    """Each has its verdict: usage before the server was asked, refused after."""
    status, verdicts, words = checks(SEEKR_BASE_URL=server, SEEKR_API_KEY=None)
    assert (status, verdicts["key"], verdicts["server"]) == (ExitStatus.USAGE, "problem", "ok")
    assert "key accepted" not in verdicts
    status, verdicts, words = checks(SEEKR_BASE_URL=server, SEEKR_API_KEY="Bearer abc")
    assert (status, "starts with `Bearer`" in words["key"]) == (ExitStatus.USAGE, True)
    status, verdicts, words = checks(SEEKR_BASE_URL=server, SEEKR_API_KEY="sk-wrong")
    assert (status, verdicts["key accepted"]) == (ExitStatus.CREDENTIALS_REFUSED, "problem")


def test_a_manifest_that_is_not_there(desk: Path, server: str) -> None:
    """It is a warning: the manifest may be written before the run."""
    status, verdicts, words = checks("nosuch.jsonl", SEEKR_BASE_URL=server)
    assert (status, verdicts["manifest"]) == (0, "warning")
    assert words["manifest"].startswith("there is no file or folder nosuch.jsonl")


def test_a_server_that_is_not_there(desk: Path) -> None:
    """A dead address is exit code 5, one that is none 2; what needs no server is looked at all the same."""
    status, verdicts, words = checks()
    assert (status, "Connection refused" in words["server"]) == (ExitStatus.UNFINISHED, True)
    assert verdicts["ledger"] == "ok"
    status, verdicts, _ = checks("--base-url", "flow.seekr.com")
    assert (status, verdicts["server"], verdicts["ledger"]) == (ExitStatus.USAGE, "problem", "ok")


@pytest.mark.parametrize(
    ("arguments", "verdict", "words"),
    [
        (("--base-url", "https://127.0.0.1:9"), "ok", "certificates are verified against"),
        (("--base-url", "https://127.0.0.1:9", "--insecure"), "warning", "not verified"),
        (("--base-url", "http://127.0.0.1:9"), "ok", "this machine"),
    ],
)
def test_tls(desk: Path, arguments: tuple[str, ...], verdict: str, words: str) -> None:
    """What is checked, and against what, is told without an answer."""
    _, verdicts, told = checks(*arguments)
    assert (verdicts["tls"], words in told["tls"]) == (verdict, True)


def test_the_proxy_is_told_without_its_password(desk: Path) -> None:
    """Where requests go first is told; who logs in there is not."""
    ended = run_here(
        "doctor", "--proxy", "http://me:hunter2@127.0.0.1:9", "--base-url", "https://files.invalid"
    )
    assert "http://127.0.0.1:9" in ended.stdout.decode()
    assert "hunter2" not in ended.text
    assert ended.status == ExitStatus.UNFINISHED


def test_the_place_of_the_ledger(desk: Path, server: str) -> None:
    """A folder that does not exist is exit code 11; a job says where its ledger is."""
    status, verdicts, _ = checks("--ledger", "no/such/l.db", SEEKR_BASE_URL=server)
    assert (status, verdicts["ledger"]) == (ExitStatus.LEDGER_UNUSABLE, "problem")
    (desk / "bulk-upload.toml").write_text(
        f"[jobs.n]\nmanifest = 'good.jsonl'\nledger = 'mine.db'\nbase-url = '{server}'\n"
    )
    status, _, words = checks("--job", "n", SEEKR_BASE_URL=None)
    assert (status, words["settings"]) == (0, "from bulk-upload.toml")
    assert "mine.db" in words["ledger"]
