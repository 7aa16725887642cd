"""Where the key comes from and which way requests go, as a person says it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bulk_upload.cli.options.server import network_of
from bulk_upload.exit_status import ExitStatus
from bulk_upload.sandbox import SandboxConfig, sandbox_in_thread
from tests.cli.stage import KEY, run_here, run_process

NONE = {"proxy": None, "ca_file": None, "client_cert": None, "client_key": None, "insecure": False}
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text("x")
    lines = [json.dumps({"path": f"{number}.txt", "purpose": "alignment"}) for number in range(3)]
    (tmp_path / "m.jsonl").write_text("\n".join(lines) + "\n")
    return str(tmp_path / "m.jsonl")


def test_a_command_may_print_the_key(manifest: str) -> None:
    """What --api-key-command prints is the key, and it is in no output."""
    with sandbox_in_thread(SandboxConfig(keys=("sk-from-a-command",))) as sandbox:
        ended = run_process(
            "run", manifest, "--api-key-command", "echo sk-from-a-command", SEEKR_BASE_URL=sandbox.url
        )
    assert ended.status == 0, ended.stderr
    assert "sk-from-a-command" not in ended.text


def test_a_key_in_a_file_is_read_again_when_it_is_refused(manifest: str, tmp_path: Path) -> None:
    """A key that was rotated meanwhile costs nothing but one attempt."""
    counter = tmp_path / "count"
    script = tmp_path / "key.sh"
    script.write_text(
        f"#!/bin/sh\nif [ -e {counter} ]; then echo sk-new; else touch {counter}; echo sk-old; fi\n"
    )
    script.chmod(0o700)
    with sandbox_in_thread(SandboxConfig(keys=("sk-new",))) as sandbox:
        ended = run_process("run", manifest, "--api-key-command", str(script), SEEKR_BASE_URL=sandbox.url)
    assert ended.status == 0, ended.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--api-key-command", "false"), "exited with 1"),
        (("--api-key-command", "no-such-command-here"), "No such file"),
        (("--api-key-command", "echo"), "is empty"),
        (("--api-key-command", "echo", "--api-key-file", "x"), "two sources"),
        (("--api-key-command", "'"), "is not a command"),
        (("--proxy", "ftp://x"), "proxy address"),
        (("--proxy", "http://"), "proxy address"),
        (("--ca-file", "/dev/null/none"), "authorities' file"),
        (("--client-key", "x"), "without a client certificate"),
    ],
)
def test_what_cannot_be_used_is_named(manifest: str, options: tuple[str, ...], words: str) -> None:
    """Each mistake ends with 2 before anything is sent, and says what it is."""
    ended = run_here("run", manifest, *options)
    assert ended.status == ExitStatus.USAGE, ended.stderr
    assert words in ended.stderr
    assert "hint: " in ended.stderr
    assert KEY not in ended.text


def test_insecure_is_loud(manifest: str) -> None:
    """Whoever turns the check off is told what that means, each time."""
    assert "WARNING: --insecure" in run_here("run", manifest, "--insecure", "--deadline", "1ms").stderr


def test_a_proxy_comes_from_the_option_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option wins; NO_PROXY and this machine's own addresses go without one."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    assert network_of(NONE, "https://api.example").proxy is None
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    assert network_of(NONE, "https://api.example").proxy == "http://proxy.example:3128"
    assert network_of({**NONE, "proxy": "http://other:1"}, "https://api.example").proxy == "http://other:1"
    assert network_of(NONE, "http://api.example").proxy is None
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    assert network_of(NONE, "http://127.0.0.1:8099").proxy is None
    monkeypatch.setenv("NO_PROXY", "api.example")
    assert network_of(NONE, "https://api.example").proxy is None
    assert os.environ["NO_PROXY"]


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_the_password_of_a_proxy_is_repeated_nowhere(manifest: str, tmp_path: Path, scheme: str) -> None:
    """Not in the closing command, the logs, the metrics, the results, the ledger or the report."""
    proxy = f"{scheme}me:hun@ter2@127.0.0.1:9"
    log, metrics, results, page = (str(tmp_path / name) for name in ("log", "metrics", "results", "page"))
    arguments = ["run", manifest, f"--proxy={proxy}", "--deadline", "300ms", "-vv"]
    files = ["--log-file", log, "--log-format", "json", "--metrics-file", metrics, "--results", results]
    said = run_process(*arguments, *files)
    assert said.status == ExitStatus.UNFINISHED, said.stderr
    assert f"--proxy={scheme}...@127.0.0.1:9" in said.stderr
    assert "cannot connect to the proxy" in said.stderr
    as_json = run_process(*arguments, "--log-format", "json")
    (ledger,) = tmp_path.glob("*.ledger.db")
    told = [said, as_json, run_process("report", str(ledger), "-o", page), run_process("status", str(ledger))]
    assert not any("ter2" in one.text for one in told)
    written = [one for one in tmp_path.iterdir() if one.is_file()]
    assert {log, metrics, results, page} <= {str(one) for one in written}
    assert not any(b"ter2" in one.read_bytes() for one in written)


def test_a_wrong_word_with_a_password_in_it_is_repeated_without_it(manifest: str) -> None:
    """An option that was forgotten makes an argument of a proxy address."""
    ended = run_here("run", manifest, "http://me:hunter2@proxy:3128")
    assert ended.status == ExitStatus.USAGE
    assert "http://...@proxy:3128" in ended.stderr
    assert "hunter2" not in ended.text
