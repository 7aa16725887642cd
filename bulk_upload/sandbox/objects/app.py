"""The requests of an object store: GET, HEAD and listings, path style, as S3 and plain web servers answer them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from aiohttp import web

from bulk_upload.sandbox.objects.answers import etag_of, key_of_token, listing, object_headers, refusal
from bulk_upload.sandbox.objects.conditions import Unsatisfiable, failed_condition, wanted_range
from bulk_upload.sandbox.objects.faults import ObjectFaultKind, RequestKind
from bulk_upload.sandbox.objects.sending import Body, BodySender
from bulk_upload.sandbox.objects.service import ObjectRequest, access_key_of
from bulk_upload.sandbox.wire import current_connection

if TYPE_CHECKING:
    from bulk_upload.sandbox.objects.buckets import StoredObject
    from bulk_upload.sandbox.objects.faults import ObjectStep
    from bulk_upload.sandbox.objects.hub import HubCalls
    from bulk_upload.sandbox.objects.service import ObjectService
    from bulk_upload.sandbox.objects.shelf import ObjectShelf

CHANGES_BEFORE = (
    ObjectFaultKind.REPLACE,
    ObjectFaultKind.GROW,
    ObjectFaultKind.RETAG,
    ObjectFaultKind.REWRITE,
    ObjectFaultKind.VANISH,
)
"""The faults that change an object before the request is served."""


def build_object_app(service: ObjectService, hub: HubCalls) -> web.Application:
    """Return the application that serves one object store, and its buckets as repositories of a Hub."""

    async def serve(request: web.Request) -> web.StreamResponse:
        service.in_flight += 1
        service.peak_in_flight = max(service.peak_in_flight, service.in_flight)
        try:
            return await _Call(service, request).run()
        finally:
            service.in_flight -= 1

    app = web.Application()
    app.on_response_prepare.append(_note_answer)
    app.add_routes(hub.routes())
    app.router.add_route("*", "/{path:.*}", serve)
    return app


class _Call:
    """One request."""

    def __init__(self, service: ObjectService, request: web.Request) -> None:
        self._service = service
        self._request = request
        # Taken as it was sent: aiohttp's own path has lost what `..` and doubled slashes were.
        path = unquote_to_bytes(request.raw_path.partition("?")[0]).decode("utf-8", "surrogateescape")
        self._bucket, _, self._key = path.removeprefix("/").partition("/")
        self._kind = self._kind_of()
        named = request.query.get("prefix", "") if self._kind is RequestKind.LIST else self._key
        self._record = ObjectRequest(
            kind=self._kind,
            path=f"/{self._bucket}/{named}",
            if_match=request.headers.get("If-Match"),
            access_key=access_key_of(request.headers),
        )

    async def run(self) -> web.StreamResponse:
        """Answer, and keep a record."""
        refused = self._refused()
        if refused is not None:
            return self._answered(refused)
        step = self._service.chooser.draw(self._kind, self._record.path)
        if step.kind is not ObjectFaultKind.OK:
            self._record = replace(self._record, fault=str(step))
        faulted = await self._faulted(step)
        if faulted is not None:
            return faulted
        shelf = self._service.shelves.get(self._bucket)
        if shelf is None:
            return self._answered(refusal(404, code="NoSuchBucket"))
        if self._kind is RequestKind.LIST:
            return self._answered(self._listed(shelf))
        return await self._found(shelf, step)

    def _kind_of(self) -> RequestKind:
        if self._request.method == "HEAD":
            return RequestKind.HEAD
        return RequestKind.GET if self._key else RequestKind.LIST

    def _refused(self) -> web.Response | None:
        if self._request.method not in ("GET", "HEAD"):
            return refusal(405)
        wanted = self._service.access_key
        if wanted is not None and self._record.access_key != wanted:
            return refusal(403)
        return None

    async def _faulted(self, step: ObjectStep) -> web.StreamResponse | None:
        connection = current_connection.get()
        if step.kind is ObjectFaultKind.STATUS:
            headers = {} if step.retry_after is None else {"Retry-After": step.retry_after}
            return self._answered(refusal(step.status or 500, headers=headers))
        if step.kind is ObjectFaultKind.STALL_HEAD:
            await connection.wait_lost(step.number)
        if step.kind in (ObjectFaultKind.STALL_HEAD, ObjectFaultKind.DROP_HEAD):
            connection.reset()
            self._service.record(self._record)
            return web.Response()
        return None

    def _listed(self, shelf: ObjectShelf) -> web.Response:
        query = self._request.query
        after: str | None = query.get("start-after", "")
        if "continuation-token" in query:
            after = key_of_token(query["continuation-token"])
        digits = query.get("max-keys", "1000")
        if after is None or not (digits.isascii() and digits.isdigit()):
            return refusal(400)
        count = min(int(digits), self._service.faults.page_max)
        page = shelf.page(
            prefix=query.get("prefix", ""), after=after, delimiter=query.get("delimiter", ""), count=count
        )
        return listing(page, query, bucket=self._bucket, count=count, faults=self._service.faults)

    async def _found(self, shelf: ObjectShelf, step: ObjectStep) -> web.StreamResponse:
        stored = self._stored(shelf)
        if stored is not None and step.kind in CHANGES_BEFORE:
            self._service.change(shelf, stored, step)
            stored = self._stored(shelf)
        if stored is None:
            return self._answered(refusal(404, code="NoSuchVersion" if self._version() else "NoSuchKey"))
        self._record = replace(self._record, version=stored.version)
        faults = self._service.faults
        etag = etag_of(stored, faults)
        status = failed_condition(self._request.headers, etag=etag, modified=stored.modified)
        if status is not None:
            headers = object_headers(stored, faults) if status == 304 else None
            return self._answered(refusal(status, headers=headers))
        return await self._served(shelf, stored, step)

    async def _served(self, shelf: ObjectShelf, stored: StoredObject, step: ObjectStep) -> web.StreamResponse:
        size = stored.content.size
        try:
            asked = self._request.headers.get("Range") if self._service.faults.ranges else None
            wanted = wanted_range(asked, size)
        except Unsatisfiable:
            return self._answered(refusal(416, headers={"Content-Range": f"bytes */{size}"}))
        headers = object_headers(stored, self._service.faults)
        start, end = wanted if wanted is not None else (0, size)
        if wanted is not None:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
            self._record = replace(self._record, first_byte=start)
        body = Body(content=stored.content, start=start, end=end, step=step)
        response = web.StreamResponse(status=200 if wanted is None else 206, headers=headers)
        response.content_length = body.declared_bytes
        if self._kind is RequestKind.HEAD:
            return self._answered(response)

        def replaced() -> None:
            self._service.change(shelf, stored, step)

        sender = BodySender(body, replaced)
        try:
            await sender.send(self._request, response)
        finally:
            self._service.record(
                replace(self._record, status=response.status, body_bytes=sender.written_bytes)
            )
        return response

    def _stored(self, shelf: ObjectShelf) -> StoredObject | None:
        version = self._version()
        return shelf.current(self._key) if version is None else shelf.version(self._key, version)

    def _version(self) -> str | None:
        return self._request.query.get("versionId") if self._service.faults.versions else None

    def _answered(self, response: web.StreamResponse) -> web.StreamResponse:
        self._service.record(replace(self._record, status=response.status))
        return response


async def _note_answer(_request: web.Request, _answer: web.StreamResponse) -> None:
    current_connection.get().watch.answered()
