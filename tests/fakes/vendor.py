"""A Files API of some other vendor on this machine: its dialect is chosen field by field, its files are in memory."""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bulk_upload.core.text.timestamps import utc_text


@dataclass
class Dialect:
    """What this vendor does in its own way."""

    paging: str = "after"
    upload_path: str = "/v1/files"
    page_max: int = 10_000
    unix_times: bool = True
    file_field: str = "file"
    purpose_field: str | None = "purpose"
    size_field: str = "bytes"
    sanitises: bool = False
    success: int = 200
    knows_contents: bool = False
    """Whether a content that it has already is a 409 that names the file."""
    raw: bool = False
    """Whether an upload's body is the file alone, and parameters of the address tell the rest."""
    files_path: str = "/v1/files"
    contents: bool | tuple[str, ...] = True
    """Whether contents are returned, or for which purposes."""


@dataclass
class Vendor:
    """The server. `answers` are sent in the place of an upload's own, in order: status, body, headers."""

    dialect: Dialect = field(default_factory=Dialect)
    url: str = ""
    files: list[dict[str, Any]] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    answers: list[tuple[int, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    heads: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    stores_before_answers: bool = False
    """Whether an upload is stored before one of `answers` is sent."""

    @property
    def names(self) -> list[str]:
        """The names of its files, as listed."""
        return [one["filename"] for one in self.files]

    async def upload(self, request: web.Request) -> web.Response:
        """Store a file."""
        self._note(request)
        if self.dialect.raw:
            form: Mapping[str, Any] = request.query
            name, content = form[self.dialect.file_field], await request.read()
        else:
            form = await request.post()
            sent = form.get(self.dialect.file_field)
            if not isinstance(sent, web.FileField):
                return _error(400, "no file")
            name, content = sent.filename, sent.file.read()
        self.forms.append({key: value for key, value in form.items() if isinstance(value, str)})
        if self.answers and not self.stores_before_answers:
            status, body, headers = self.answers.pop(0)
            return web.json_response(body, status=status, headers=headers)
        sha256 = hashlib.sha256(content).hexdigest()
        known = next((one for one in self.files if one["sha256"] == sha256), None)
        if self.dialect.knows_contents and known is not None:
            return web.json_response({"error": {"message": "exists", "file_id": known["id"]}}, status=409)
        made = self._store(name, content, form, sha256)
        if self.answers:
            status, body, headers = self.answers.pop(0)
            return web.json_response(body, status=status, headers=headers)
        return web.json_response(self._shown(made), status=self.dialect.success)

    async def list(self, request: web.Request) -> web.Response:
        """List files, newest first."""
        self._note(request)
        query, dialect = request.query, self.dialect
        limit = min(int(query.get("limit", query.get("page_size", "20"))), dialect.page_max)
        files = list(reversed(self.files))
        ids = [one["id"] for one in files]
        start = 0
        if dialect.paging == "offset":
            start = int(query.get("offset", "0"))
        elif dialect.paging == "after" and "after" in query:
            start = ids.index(query["after"]) + 1
        elif dialect.paging == "next-page" and "page" in query:
            start = int(query["page"].removeprefix("token-"))
        elif dialect.paging == "page":
            start = int(query.get("page", "0")) * limit
        elif dialect.paging == "none":
            limit = len(files)
        answer: dict[str, Any] = {"data": [self._shown(one) for one in files[start : start + limit]]}
        if dialect.paging == "next-page":
            answer["next_page"] = f"token-{start + limit}" if start + limit < len(files) else None
        return web.json_response(answer)

    async def look_up(self, request: web.Request) -> web.Response:
        """Describe a file."""
        self._note(request)
        found = self._found(request)
        return _error(404, "no such file") if found is None else web.json_response(self._shown(found))

    async def content(self, request: web.Request) -> web.Response:
        """Return the content of a file."""
        self._note(request)
        found = self._found(request)
        if found is None:
            return _error(404, "no such file")
        allowed = self.dialect.contents
        if allowed is not True and (allowed is False or found["purpose"] not in allowed):
            return _error(400, f"Not allowed to download files of purpose: {found['purpose']}")
        return web.Response(body=self.contents[found["id"]])

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a file."""
        self._note(request)
        found = self._found(request)
        if found is None:
            return _error(404, "no such file")
        self.files.remove(found)
        return web.json_response({"id": found["id"], "deleted": True})

    def _store(self, name: str, content: bytes, form: Mapping[str, Any], sha256: str) -> dict[str, Any]:
        if self.dialect.sanitises:
            name = re.sub(r"[^A-Za-z0-9._-]", "_", name).replace("..", "_")
        made: dict[str, Any] = {
            "id": f"file-{len(self.contents):05}",
            "filename": name,
            "size": len(content),
            "purpose": str(form.get(self.dialect.purpose_field or "", "")),
            "sha256": sha256,
            "made_s": time.time(),
        }
        self.files.append(made)
        self.contents[made["id"]] = content
        return made

    def _shown(self, file: Mapping[str, Any]) -> dict[str, Any]:
        made_s = int(file["made_s"])
        made: object = made_s if self.dialect.unix_times else utc_text(made_s)
        shown: dict[str, Any] = {"id": file["id"], "filename": file["filename"], "created_at": made}
        shown[self.dialect.size_field] = file["size"]
        if self.dialect.purpose_field is not None:
            shown["purpose"] = file["purpose"]
        return shown

    def _found(self, request: web.Request) -> dict[str, Any] | None:
        return next((one for one in self.files if one["id"] == request.match_info["file_id"]), None)

    def _note(self, request: web.Request) -> None:
        self.heads.append((request.method, request.path_qs, dict(request.headers)))


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status)


@contextmanager
def vendor(dialect: Dialect | None = None) -> Iterator[Vendor]:
    """Serve a vendor's API from a thread of its own."""
    here = Vendor(dialect or Dialect())
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def serve() -> web.AppRunner:
        app = web.Application(client_max_size=16_000_000)
        app.router.add_post(here.dialect.upload_path, here.upload)
        files_path = here.dialect.files_path
        app.router.add_get(files_path, here.list)
        app.router.add_get(f"{files_path}/{{file_id}}", here.look_up)
        app.router.add_get(f"{files_path}/{{file_id}}/content", here.content)
        app.router.add_delete(f"{files_path}/{{file_id}}", here.delete)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
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
    ready.wait(60)
    try:
        yield here
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
