"""The end of a run reaches people: a command or an address gets one JSON object, and never a secret."""

from __future__ import annotations

import errno
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from bulk_upload.cli.output.notify import Message
from bulk_upload.core.api.redaction import shown_notify
from bulk_upload.edge import notification
from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import KEY, run_here


@contextmanager
def listening(status: int = 204) -> Iterator[tuple[str, list[tuple[dict[str, str], Any]]]]:
    """Yield an address and what was posted to it, headers and content."""
    posted: list[tuple[dict[str, str], Any]] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append((dict(self.headers), json.loads(body)))
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Taking) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook/token-never-show-me", posted
        finally:
            server.shutdown()
            thread.join()


def test_an_address_gets_the_end_as_json(desk: Path, server: str) -> None:
    """The verdict, the counts, where the ledger is, and a sentence for a chat."""
    with listening() as (url, posted):
        ended = run_here("run", "good.jsonl", "--ledger", "l.db", "--notify", url, SEEKR_BASE_URL=server)
    assert ended.status == 0
    ((headers, message),) = posted
    assert headers["Content-Type"] == "application/json"
    assert (message["exit_code"], message["exit_name"], message["done"]) == (0, "DONE", True)
    assert message["states"] == {"accepted": 2}
    assert message["ledger"] == str(desk / "l.db")
    assert (
        message["text"]
        == "bulk-upload run good.jsonl: 2 accepted (exit code 0: every entry of the job is accepted)"
    )
    assert "token-never-show-me" not in ended.text


def test_a_command_gets_it_on_standard_input_and_no_key(desk: Path, server: str) -> None:
    """Its environment has no key; what it prints on standard output is not the run's."""
    command = "sh -c 'cat >message.json; env >environment; echo stray'"
    ended = run_here("run", "good.jsonl", "--ledger", "l.db", "--notify", command, SEEKR_BASE_URL=server)
    assert (ended.status, ended.stdout) == (0, b"")
    assert json.loads((desk / "message.json").read_text())["states"] == {"accepted": 2}
    environment = (desk / "environment").read_text()
    assert "PATH=" in environment
    assert KEY not in environment


def test_a_command_that_ended_before_its_run_is_told_too(desk: Path, server: str) -> None:
    """A manifest that is not there is an end as well; a key in its words is not shown."""
    with listening() as (url, posted):
        ended = run_here("run", f"{KEY}.jsonl", "--notify", url, SEEKR_BASE_URL=server)
    assert ended.status == ExitStatus.USAGE
    ((_, message),) = posted
    assert (message["exit_code"], message["done"], message["states"]) == (2, False, {})
    assert message["error"]
    assert KEY not in json.dumps(message)


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("sh -c 'exit 3'", "sh: it exited with 3"),
        (
            "http://127.0.0.1:9/hook/token-never-show-me",
            f"127.0.0.1: the request failed: {os.strerror(errno.ECONNREFUSED)}",
        ),
    ],
)
def test_a_message_that_does_not_arrive_is_a_warning(desk: Path, server: str, target: str, why: str) -> None:
    """The run's exit code is what it was."""
    ended = run_here(
        "run", "good.jsonl", "--notify", target, "--quiet", "--send-again", SEEKR_BASE_URL=server
    )
    assert ended.status == 0
    assert ended.text == f"bulk-upload: --notify did not reach {why}\n"


def test_an_answer_other_than_2xx_is_a_warning_and_no_redirect_is_followed(desk: Path, server: str) -> None:
    """A message goes to the address that was given, and to no other."""
    with listening(302) as (url, posted):
        ended = run_here("run", "good.jsonl", "--notify", url, "--quiet", SEEKR_BASE_URL=server)
    assert ended.status == 0
    assert "it answered with HTTP 302" in ended.stderr
    assert len(posted) == 1


def test_a_command_that_does_not_end_is_ended(
    desk: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed with its children after its time."""
    monkeypatch.setattr(notification, "COMMAND_S_MAX", 0.2)
    ended = run_here(
        "run",
        "good.jsonl",
        "--notify",
        "sh -c 'sleep 600; true'",
        "--quiet",
        "--send-again",
        SEEKR_BASE_URL=server,
    )
    assert ended.status == 0
    assert ended.text == "bulk-upload: --notify did not reach sh: it did not end within 0.2 s\n"


@pytest.mark.parametrize("target", ["", "'", "no-such-program x", "https://", "http://host:nan/"])
def test_a_target_that_cannot_work_is_a_mistake_at_once(desk: Path, target: str) -> None:
    """Not after three days."""
    ended = run_here("run", "good.jsonl", "--notify", target)
    assert ended.status == ExitStatus.USAGE
    assert "--notify" in ended.stderr


def test_a_target_is_never_shown_whole(desk: Path, server: str) -> None:
    """Addresses of chats and arguments of commands hold tokens."""
    assert shown_notify("https://kim:pw@hooks.example/T0/secret") == "https://hooks.example/..."
    assert shown_notify("https://hooks.example?token=x") == "https://hooks.example/..."
    assert shown_notify("https://hooks.example") == "https://hooks.example"
    assert shown_notify("curl -H 'X-Token: x'") == "curl ..."
    shown = run_here("config", "show", "run", BULK_UPLOAD_NOTIFY="https://hooks.example/T0/secret")
    assert "https://hooks.example/..." in shown.text
    assert "secret" not in shown.text


def test_the_page_explains_each_field() -> None:
    """The table is that of the message, and the limits are those of the code."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "progress.md").read_text("utf-8")
    section = page.partition("## The end reaches you")[2].partition("\n## ")[0]
    fields = {
        one
        for line in section.splitlines()
        if line.startswith("| `")
        for one in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert fields == set(Message.__struct_fields__)
    assert f"{notification.COMMAND_S_MAX:g} s, an address {notification.POST_S_MAX:g} s" in section


def test_the_bell_rings_on_a_terminal_only(desk: Path, server: str) -> None:
    """In a log it would be a stray byte."""
    ended = run_here("run", "good.jsonl", "--bell", SEEKR_BASE_URL=server)
    assert ended.status == 0
    assert "\a" not in ended.text
