"""The calls beside uploading that every Files API has: list, look up, download, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from bulk_upload.core.text.printable import human_bytes
from bulk_upload.sandbox.dialects.dialect import Habit, Problem

if TYPE_CHECKING:
    from bulk_upload.sandbox.service import Service
    from bulk_upload.sandbox.stored_file import StoredFile


class Calls:
    """Handlers of the calls beside uploading. A file of another team is not found."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def list_files(self, request: web.Request) -> web.StreamResponse:
        """One page of the list, as the dialect pages."""
        problem = self._service.dialect.lookup_problem()
        if problem is not None:
            return self._service.answers.problem(problem)
        files = self._service.store.listed(self._service.team_of(request))
        lossy = Habit.LOSSY_CURSOR in self._service.habits
        page = self._service.dialect.page(request.query, files, lossy=lossy)
        return (
            self._service.answers.problem(page)
            if isinstance(page, Problem)
            else self._service.answers.json(page)
        )

    async def get_file(self, request: web.Request) -> web.StreamResponse:
        """A file by its id."""
        problem = self._service.dialect.lookup_problem()
        if problem is not None:
            return self._service.answers.problem(problem)
        file = self.file(request)
        return self.not_found(request) if file is None else self._described(file)

    async def get_content(self, request: web.Request) -> web.StreamResponse:
        """The content of a file, ranges included (seekrai probes with `bytes=0-1`)."""
        file = self.file(request)
        if file is None:
            return self.not_found(request)
        if Habit.NO_CONTENT in self._service.habits:
            return self._service.answers.problem(self._service.dialect.content_problem(file))
        if file.content is not None:
            return _content_answer(request, file.content)
        if file.path is None:
            kept = self._service.config.memory_bytes
            keeps = (
                f"contents up to {human_bytes(kept)} in all, and of this file the digest"
                if kept
                else "digests"
            )
            message = f"this sandbox keeps {keeps} only: start it with --dir DIR to keep the bytes"
            return self._service.answers.refusal(404, message)
        return web.FileResponse(file.path, headers={"Content-Type": "application/octet-stream"})

    async def delete_file(self, request: web.Request) -> web.StreamResponse:
        """Delete a file."""
        file = self.file(request)
        if file is None:
            return self.not_found(request)
        self._service.store.delete(file)
        return self._service.answers.json(self._service.dialect.deleted_body(file))

    def file(self, request: web.Request) -> StoredFile | None:
        """Return the file that the path names, or None."""
        return self._service.store.get(request.match_info["file_id"], self._service.team_of(request))

    def not_found(self, request: web.Request) -> web.Response:
        """Return the answer to an unknown id."""
        return self._service.answers.refusal(404, f"file {request.match_info['file_id']} not found")

    def _described(self, file: StoredFile) -> web.Response:
        return self._service.answers.json(self._service.dialect.retrieved_body(file))


def _content_answer(request: web.Request, content: bytes) -> web.Response:
    """Return bytes in memory, or the range of them that is wanted."""
    size = len(content)
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
    try:
        wanted = request.http_range
    except ValueError:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
    start, stop, _ = wanted.indices(size)
    if wanted.start is None and wanted.stop is None:
        return web.Response(body=content, headers=headers)
    if start >= stop:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return web.Response(status=206, body=content[start:stop], headers=headers)
