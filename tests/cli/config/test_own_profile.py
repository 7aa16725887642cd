"""An endpoint that is not Flow: described in bulk-upload.toml, uploaded to over a real connection."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import KEY, run_here


@dataclass
class Archive:
    """A server with another shape than Flow: POST, other fields, a bearer token, the id in an inner object."""

    url: str = ""
    seen: list[dict[str, str]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """Store one upload."""
        form = await request.post()
        upload = form["document"]
        assert isinstance(upload, web.FileField)
        size = len(upload.file.read())
        self.seen.append(
            {
                "authorization": request.headers["X-Archive-Auth"],
                "kind": str(form["kind"]),
                "name": upload.filename,
                "file_no": f"doc-{len(self.seen) + 1}",
                "bytes": str(size),
            }
        )
        described = {"file_no": self.seen[-1]["file_no"], "bytes": size, "filename": upload.filename}
        return web.json_response({"result": {"file": described}})

    async def look_up(self, request: web.Request) -> web.Response:
        """Describe one file."""
        for one in self.seen:
            if one["file_no"] == request.match_info["file_no"]:
                described = {"file_no": one["file_no"], "bytes": int(one["bytes"]), "filename": one["name"]}
                return web.json_response({"result": {"file": described}})
        return web.json_response({}, status=404)


@contextmanager
def archive() -> Iterator[Archive]:
    """Serve an archive from a thread of its own."""
    here = Archive()
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def serve() -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/api/documents", here.take)
        app.router.add_get("/api/documents/{file_no}", here.look_up)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        here.url = f"http://{host}:{port}"
        return runner

    def work() -> None:
        runner = loop.run_until_complete(serve())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait(10)
    try:
        yield here
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def test_a_profile_of_ones_own(desk: Path) -> None:
    """Method, path, fields, header and the place of the id are those of the file; `verify` knows the profile too."""
    with archive() as server:
        (desk / "bulk-upload.toml").write_text(
            f"""
[profiles.archive]
base-url = "{server.url}"
method = "POST"
files-path = "/api/documents"
file-field = "document"
purpose-field = "kind"
purposes = ["letters"]
auth-header = "X-Archive-Auth"
auth-prefix = "Token "
id-field = "result.file.file_no"
key-variable = "ARCHIVE_API_KEY"

[jobs.letters]
manifest = "letters.jsonl"
profile = "archive"
"""
        )
        (desk / "letters.jsonl").write_text('{"path": "data/a.jsonl", "purpose": "letters"}\n')
        ended = run_here("run", "--job", "letters", ARCHIVE_API_KEY=KEY)
        assert ended.status == 0, ended.stderr
        assert server.seen == [
            {
                "authorization": f"Token {KEY}",
                "kind": "letters",
                "name": "a.jsonl",
                "file_no": "doc-1",
                "bytes": "16",
            }
        ]
        exported = run_here("ledger", "export", "letters.ledger.db", "--format", "jsonl").stdout
        assert json.loads(exported)["file_id"] == "doc-1"
        assert run_here("verify", "letters.ledger.db", ARCHIVE_API_KEY=KEY).status == 0
        server.seen.clear()
        assert run_here("verify", "letters.ledger.db", ARCHIVE_API_KEY=KEY).status == ExitStatus.DIFFERENCES
        ended = run_here("verify", "letters.ledger.db", "--config", "none")
        assert (ended.status, "bulk-upload.toml" in ended.stderr) == (ExitStatus.LEDGER_UNUSABLE, True)


def test_an_unknown_profile(desk: Path) -> None:
    """An unknown profile is told with the nearest one."""
    ended = run_here("plan", "good.jsonl", "--profile", "flo")
    assert (ended.status, 'Did you mean "flow"?' in ended.stderr) == (ExitStatus.USAGE, True)
