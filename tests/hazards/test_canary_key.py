"""A key that a server throws back in every way it can is in no output: not whole, and not its beginning."""

from __future__ import annotations

import base64
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import DEVNULL, Popen
from unittest.mock import patch
from urllib.parse import quote

import aiohttp
import pytest

from bulk_upload.core.api.responses import REASON_CHARS_MAX
from tests.cli.stage import environment, run_here
from tests.hazards.fault_scenes import Play, answers, ignores, on_look_up, stores, tells
from tests.hazards.fault_server import Call, FaultServer, serving
from tests.hazards.fault_wire import Exchange, answer

KEY = "sk-canary-5b1d9e27c4a8f036"
BEGINNING = KEY[:12]
"""What is looked for: a key that was cut off in the middle counts as shown."""

FILLER = "x" * (REASON_CHARS_MAX - len("HTTP 400: ") - len(BEGINNING) - 3)
"""So many letters before the key that a reason is cut in the midst of it."""

ECHOES: dict[str, Play] = {
    "detail": answers(answer(400, {"detail": f"no key {KEY} here"})),
    "cut detail": answers(answer(400, {"detail": FILLER + KEY})),
    "escaped detail": answers(answer(422, json.dumps({"detail": KEY}).replace("c", "\\u0063").encode())),
    "located detail": answers(answer(422, {"detail": [{"loc": [KEY, 1], "msg": KEY, "type": KEY}]})),
    "error message": answers(answer(404, {"error": {"message": f"Bearer {KEY}"}})),
    "base64": answers(answer(400, {"detail": f"Basic {base64.b64encode(f'me:{KEY}'.encode()).decode()}"})),
    "cut base64": answers(answer(400, {"detail": FILLER + base64.b64encode(KEY.encode()).decode()})),
    "percent": answers(answer(400, {"detail": "".join(f"%{ord(one):02x}" for one in KEY)})),
    "base64 request id": answers(answer(400, b"{}", {"CF-Ray": base64.b64encode(KEY.encode()).decode()})),
    "base64 name": stores(
        lambda response: answer(200, response | {"filename": base64.b64encode(KEY.encode()).decode()})
    ),
    "base64 id": stores(
        lambda response: answer(200, response | {"id": base64.b64encode(KEY.encode()).decode().rstrip("=")})
    ),
    "page": answers(answer(409, f"<html><b>{KEY}</b>{KEY}</html>".encode())),
    "page cut": answers(answer(413, b" " * (4096 - len(BEGINNING) - 3) + KEY.encode())),
    "phrase": answers(answer(415, b"", phrase=KEY)),
    "request id": answers(answer(400, b"{}", {"CF-Ray": KEY, "X-Request-Id": KEY})),
    "cut request id": answers(answer(400, b"{}", {"CF-Ray": "r" * (97 - len(BEGINNING)) + KEY})),
    "cookie": answers(answer(400, b"{}", {"Set-Cookie": f"key={KEY}; Path=/", "Server": KEY})),
    "wait": answers(answer(429, {"detail": KEY}, {"Retry-After": KEY})),
    "answered 500": answers(answer(500, {"detail": f"Authorization: {KEY}"})),
    "broken status line": stores(f"HTTP/1.1 {KEY} {KEY}\r\n\r\n".encode(), then="close"),
    "broken header": stores(f"HTTP/1.1 200 OK\r\n{KEY}\r\n\r\n".encode(), then="close"),
    "no json": stores(answer(200, KEY.encode())),
    "id": stores(lambda response: answer(200, response | {"id": KEY})),
    "id within": stores(lambda response: answer(200, response | {"id": f"file-{KEY}"})),
    "name": stores(lambda response: answer(200, response | {"filename": f"{KEY}.jsonl"})),
    "long name": stores(
        lambda response: answer(
            200, response | {"filename": "x" * (REASON_CHARS_MAX - len(BEGINNING) - 5) + KEY}
        )
    ),
    "purpose": stores(lambda response: answer(200, response | {"purpose": KEY})),
    "time": stores(lambda response: answer(200, response | {"created_at": KEY})),
    "size and id": stores(lambda response: answer(200, response | {"id": KEY, "bytes": 1})),
}
ENDINGS: dict[str, Play] = {
    "401": answers(answer(401, {"detail": f"{KEY} is unknown"}, {"WWW-Authenticate": KEY})),
    "403": answers(answer(403, {"detail": f"{KEY} may not"})),
    "redirect": answers(answer(307, KEY.encode(), {"Location": f"http://{KEY}@{KEY}.test:80/{KEY}?k={KEY}"})),
    "cut redirect": answers(answer(307, b"", {"Location": "http://" + "h" * (197 - len(BEGINNING)) + KEY})),
    "early 401": tells(answer(401, KEY.encode()), linger=True),
}


def in_turn(plays: list[Play]) -> Play:
    """Let the first upload meet the first, and so on."""

    async def play(server: FaultServer, exchange: Exchange) -> None:
        await plays[min(len(server.uploads), len(plays)) - 1](server, exchange)

    return play


async def shows_the_key(server: FaultServer, exchange: Exchange, call: Call) -> bytes | None:
    """List, look up and delete with the key in every text."""
    if call.is_list:
        files = [one.response(filename=KEY, created_at=KEY) for one in server.listed()]
        twins = [one.response(id=f"{KEY}-{number}") for number, one in enumerate(server.listed())]
        limit, offset = server.dialect.place(call.target, server.shown)
        return server.page([*files, *twins] if offset == 0 else [], limit=limit, offset=offset)
    if call.method == "DELETE":
        return answer(400, {"detail": KEY}, {"Location": KEY})
    if call.target.endswith("/content"):
        return answer(200, KEY.encode())
    return await on_look_up(lambda one, file_id: answer(200, one.stored[file_id].response(filename=KEY)))(
        server, exchange, call
    )


async def fails_with_the_key(server: FaultServer, exchange: Exchange, call: Call) -> bytes | None:
    """Refuse every question with the key in the refusal, as far as it is shown and in the midst of it."""
    return answer(400, {"detail": FILLER[: -len("verifying")] + KEY if len(server.calls) % 2 else KEY})


def job_in(folder: Path, names: list[str]) -> Path:
    """Put files and a manifest of them into a folder."""
    folder.mkdir()
    for name in names:
        (folder / f"{name}.jsonl").write_text(f'{{"text": "{name}"}}\n')
    manifest = folder / "m.jsonl"
    lines = [json.dumps({"path": f"{name}.jsonl", "purpose": "pre-train"}) for name in names]
    manifest.write_text("\n".join(lines))
    return manifest


class Outputs:
    """Everything that was shown, by what showed it."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, bytes]] = []

    def call(self, *arguments: str, expect: set[int], url: str = "http://127.0.0.1:9") -> None:
        """Run a command and keep what it printed."""
        ended = run_here(*arguments, SEEKR_API_KEY=KEY, SEEKR_BASE_URL=url)
        self.shown.append((" ".join(arguments), ended.stdout + ended.stderr.encode()))
        assert ended.status in expect, ended.text

    def add_files(self, folder: Path) -> None:
        """Keep the bytes of all files in a folder, logs of databases included."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.shown.append((path.name, path.read_bytes()))

    def assert_clean(self) -> None:
        """No spelling of the key is anywhere."""
        spellings = [
            BEGINNING.encode(),
            quote(BEGINNING, safe="").encode(),
            base64.b64encode(KEY.encode())[:12],
            base64.b64encode(f"me:{KEY}".encode())[4:16],
            "".join(f"%{ord(one):02x}" for one in BEGINNING).encode(),
            BEGINNING.encode("utf-16-le"),
            BEGINNING.encode()[::-1],
        ]
        found = [(name, one) for name, data in self.shown for one in spellings if one in data]
        assert not found, found


@pytest.fixture
def outputs(caplog: pytest.LogCaptureFixture) -> Iterator[Outputs]:
    """Outputs that are clean in the end, log records of every level included."""
    caplog.set_level(logging.DEBUG)
    outputs = Outputs()
    yield outputs
    outputs.shown.append(("log", caplog.text.encode()))
    outputs.assert_clean()


BRISK = ("--settle", "200ms", "--max-attempts", "2", "--concurrency", "1", "--stall", "2s")


def test_no_command_shows_a_key_that_the_server_throws_back(tmp_path: Path, outputs: Outputs) -> None:
    """Run, plan, status, show, export, resolve, verify and undo against a server that echoes the key everywhere."""
    # Each after a sound one: several odd answers in a row end a run.
    echoed = [name.replace(" ", "-") for name in ECHOES]
    names = [one for name in echoed for one in (f"sound-{name}", name)]
    sound = stores(lambda response: answer(200, response))
    plays = [one for play in ECHOES.values() for one in (sound, play)]
    server = FaultServer("echo", play=in_turn(plays), strikes=None, everyone=True)
    manifest = job_in(tmp_path / "job", names)
    ledger = str(tmp_path / "job" / "m.db")
    with serving(server):
        run = ("run", str(manifest), "--ledger", ledger, *BRISK, "--patience", "3s")
        outputs.call(*run, "--results", "-", "--in-doubt", "hold", url=server.url, expect={4})
        outputs.call("resolve", ledger, expect={4})
        assert len(server.uploads) >= len(plays)
        server._answer_call = shows_the_key
        outputs.call(*run, url=server.url, expect={3, 4, 5})
        outputs.call("plan", str(manifest), "--ledger", ledger, "--list", url=server.url, expect={0})
        outputs.call("status", ledger, expect={0})
        outputs.call("ledger", "show", ledger, expect={0})
        for form in ("csv", "jsonl"):
            output = str(tmp_path / "job" / f"export.{form}")
            outputs.call("ledger", "export", ledger, "--format", form, "--all-receipts", expect={0})
            outputs.call("ledger", "export", ledger, "--format", form, "-o", output, expect={0})
        outputs.call("resolve", ledger, expect={0, 4})
        outputs.call("resolve", ledger, "reconcile", "--yes", "--settle", "100ms", expect={0, 4, 5})
        outputs.call("verify", ledger, expect={5, 6})
        server._answer_call = fails_with_the_key
        outputs.call("verify", ledger, expect={5, 6})
        outputs.call("undo", ledger, "--yes", expect={0, 3, 4, 5, 6})
        server._answer_call = shows_the_key
        outputs.call("verify", ledger, "--json", "--content", expect={5, 6})
        outputs.call("undo", ledger, "--dry-run", expect={0, 5, 6})
        outputs.call("undo", ledger, "--yes", expect={0, 3, 4, 5, 6})
    outputs.add_files(tmp_path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_ending_shows_the_key(tmp_path: Path, outputs: Outputs, ending: str) -> None:
    """A run that ends on a refusal or a redirect names it without the key."""
    server = FaultServer("ending", play=ENDINGS[ending], strikes=None, everyone=True)
    manifest = job_in(tmp_path / "job", ["a", "b"])
    with serving(server):
        outputs.call("run", str(manifest), *BRISK, url=server.url, expect={5, 12})
    outputs.add_files(tmp_path)


@pytest.mark.parametrize("where", ["environment", "file", "command"])
def test_a_crash_does_not_show_the_key(tmp_path: Path, outputs: Outputs, where: str) -> None:
    """A bug whose exception carries the request's headers is reported without the key, wherever it came from."""
    server = FaultServer("crash")
    manifest = job_in(tmp_path / "job", ["a", "b"])
    key_file = tmp_path / "key"
    key_file.write_text(KEY)
    key_file.chmod(0o600)
    options = {
        "environment": (),
        "file": ("--api-key-file", str(key_file)),
        "command": ("--api-key-command", f"cat {key_file}"),
    }[where]

    def fails(**arguments: object) -> None:
        raise RuntimeError(f"{ {'Authorization': KEY} } {arguments!r}")

    with serving(server), patch("bulk_upload.edge.transport.client.decipher", fails):
        outputs.call("run", str(manifest), *BRISK, *options, url=server.url, expect={1})
    assert b"this is a bug" in outputs.shown[0][1]
    outputs.add_files(tmp_path / "job")


def test_a_killed_run_leaves_no_key_behind(tmp_path: Path, outputs: Outputs) -> None:
    """Neither the process list nor what a run that was killed leaves on disk shows the key."""
    server = FaultServer(
        "stuck", play=in_turn([*list(ECHOES.values())[:6], ignores]), strikes=None, everyone=True
    )
    manifest = job_in(tmp_path / "job", [f"f{number}" for number in range(9)])
    arguments = [sys.executable, "-m", "bulk_upload", "run", str(manifest), *BRISK]
    env = environment({"SEEKR_API_KEY": KEY, "SEEKR_BASE_URL": server.url})
    with serving(server), ExitStack() as opened:
        streams = [opened.enter_context(open(tmp_path / f"stream-{number}", "wb")) for number in (1, 2)]
        process = Popen(arguments, env=env, stdin=DEVNULL, stdout=streams[0], stderr=streams[1])
        try:
            assert _soon(lambda: len(server.uploads) >= 7)
            if os.path.exists("/proc/self/cmdline"):
                outputs.shown.append(("ps", Path(f"/proc/{process.pid}/cmdline").read_bytes()))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert list((tmp_path / "job").glob("*.db-wal"))
    outputs.add_files(tmp_path)


def test_what_is_looked_for_would_be_found(tmp_path: Path) -> None:
    """The search itself finds a key in text, in a database and in an exception."""
    outputs = Outputs()
    error = aiohttp.ClientResponseError(None, (), headers={"Authorization": KEY})  # type: ignore[arg-type]
    outputs.shown.append(("error", repr(error).encode() + repr(error.headers).encode()))
    with pytest.raises(AssertionError, match="error"):
        outputs.assert_clean()


def _soon(condition: Callable[[], bool]) -> bool:

    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()
