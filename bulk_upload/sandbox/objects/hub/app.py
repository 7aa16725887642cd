"""The requests of a Hub, beneath the object store's own: `URL/-/hub` is its endpoint, `sandbox/BUCKET` each repository.

Modelled on https://huggingface.co/.well-known/openapi.json and on what huggingface_hub asks: a revision's commit, trees
and paths as JSON with pages by `Link`, and `resolve`, which sends on to the bytes: of small files on the same host, of
large ones on another one, by an address that is signed.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiohttp import web

from bulk_upload.sandbox.objects.conditions import Unsatisfiable, wanted_range
from bulk_upload.sandbox.objects.faults import ObjectFaultKind, ObjectStep, RequestKind
from bulk_upload.sandbox.objects.sending import Body, BodySender
from bulk_upload.sandbox.objects.service import ObjectRequest, access_key_of
from bulk_upload.sandbox.wire import current_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk_upload.sandbox.objects.buckets import StoredObject
    from bulk_upload.sandbox.objects.hub.history import Histories
    from bulk_upload.sandbox.objects.service import ObjectService

HUB_PATH = "/-/hub"
"""No bucket has such a name."""

HUB_OWNER = "sandbox"
KINDS = "datasets|models|spaces"
_REPOSITORY = "{owner}/{name}"


class _Refused(Exception):
    """What is answered in place of what was asked for."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class HubCalls:
    """Answers requests for repositories.

    Args:
        service: the buckets, and what goes wrong.
        histories: their commits.
        cdn_url: the host of large files.
    """

    def __init__(self, service: ObjectService, histories: Histories, cdn_url: Callable[[], str]) -> None:
        self._service = service
        self._histories = histories
        self._cdn_url = cdn_url

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of a Hub."""
        api = f"{HUB_PATH}/api/{{kind:{KINDS}}}/{_REPOSITORY}"
        files = f"{HUB_PATH}/{{kind:datasets|spaces}}/{_REPOSITORY}/resolve/{{revision}}/{{path:.+}}"
        cached = f"{HUB_PATH}/api/resolve-cache/{{kind:{KINDS}}}/{_REPOSITORY}/{{revision}}/{{path:.+}}"
        return [
            web.get(f"{api}/revision/{{revision}}", self._answering(RequestKind.HEAD, self._revision)),
            web.get(f"{api}/tree/{{revision}}", self._answering(RequestKind.LIST, self._tree)),
            web.get(f"{api}/tree/{{revision}}/{{path:.+}}", self._answering(RequestKind.LIST, self._tree)),
            web.post(f"{api}/paths-info/{{revision}}", self._answering(RequestKind.LIST, self._paths)),
            web.get(files, self._answering(None, self._resolve)),
            web.get(cached, self._answering(None, self._bytes)),
            web.get(
                f"{HUB_PATH}/{_REPOSITORY}/resolve/{{revision}}/{{path:.+}}",
                self._answering(None, self._resolve),
            ),
        ]

    def cdn_routes(self) -> list[web.RouteDef]:
        """Return the routes of the host of large files: it knows addresses that were signed for it, and no token."""
        return [web.get(f"/{{kind}}/{_REPOSITORY}/{{revision}}/{{path:.+}}", self._bytes)]

    def _answering(self, kind: RequestKind | None, handler: Any) -> Any:  # noqa: ANN401 - handlers of aiohttp
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                self._require_access(request)
                if kind is not None:
                    faulted = await self._faulted(kind, request)
                    if faulted is not None:
                        return faulted
                response: web.StreamResponse = await handler(request)
            except _Refused as refused:
                response = web.json_response(
                    {"error": str(refused)}, status=refused.status, headers={"X-Error-Code": refused.code}
                )
                self._record(kind or RequestKind.GET, request, response.status)
            else:
                if kind is not None:
                    self._record(kind, request, response.status)
            return response

        return answer

    def _require_access(self, request: web.Request) -> None:
        wanted = self._service.access_key
        if wanted is not None and access_key_of(request.headers) != wanted:
            raise _Refused(401, "RepoNotFound", "Repository not found")
        if (
            request.match_info["owner"] != HUB_OWNER
            or request.match_info["name"] not in self._service.shelves
        ):
            raise _Refused(404, "RepoNotFound", "Repository not found")

    async def _faulted(self, kind: RequestKind, request: web.Request) -> web.StreamResponse | None:
        step = self._service.chooser.draw(kind, self._path(request))
        if step.kind is ObjectFaultKind.STATUS:
            response = web.json_response({"error": "as asked for"}, status=step.status or 500)
            self._record(kind, request, response.status, fault=str(step))
            return response
        return await self._broken_off(step, kind, request)

    async def _broken_off(
        self, step: ObjectStep, kind: RequestKind, request: web.Request
    ) -> web.StreamResponse | None:
        if step.kind not in (ObjectFaultKind.STALL_HEAD, ObjectFaultKind.DROP_HEAD):
            return None
        connection = current_connection.get()
        if step.kind is ObjectFaultKind.STALL_HEAD:
            await connection.wait_lost(step.number)
        connection.reset()
        self._record(kind, request, None, fault=str(step))
        return web.Response()

    async def _revision(self, request: web.Request) -> web.Response:
        commit = self._commit(request)
        name = request.match_info["name"]
        return web.json_response(
            {
                "id": f"{HUB_OWNER}/{name}",
                "sha": commit,
                "lastModified": "2026-01-01T00:00:00.000Z",
                "siblings": [],
            }
        )

    async def _tree(self, request: web.Request) -> web.Response:
        commit, name = self._commit(request), request.match_info["name"]
        folder = request.match_info.get("path", "").strip("/")
        prefix = f"{folder}/" if folder else ""
        is_recursive = request.query.get("recursive", "").lower() in ("true", "1")
        after = base64.urlsafe_b64decode(request.query.get("cursor", "")).decode()
        limit = min(int(request.query.get("limit", "1000")), self._service.faults.page_max)
        items = self._items(name, commit, prefix, after, is_recursive=is_recursive)
        page = [item for _, item in zip(range(limit), items, strict=False)]
        if folder and not page and not after:
            raise _Refused(404, "EntryNotFound", f"{folder} does not exist on the revision")
        headers = {}
        if next(items, None) is not None:
            cursor = base64.urlsafe_b64encode(page[-1]["path"].encode()).decode("ascii")
            # The page's own host and path: a client that is behind a proxy would see another one.
            url = request.url.update_query(cursor=cursor)
            headers["Link"] = f'<{url}>; rel="next"'
        return web.json_response(page, headers=headers)

    def _items(
        self, name: str, commit: str, prefix: str, after: str, *, is_recursive: bool
    ) -> Iterator[dict[str, Any]]:
        last_folder = ""
        for one in self._histories.after(name, commit, prefix, after):
            folder, slash, _ = one.key[len(prefix) :].partition("/")
            if slash and not is_recursive:
                path = prefix + folder
                if path != last_folder and path > after:
                    last_folder = path
                    yield {"type": "directory", "path": path, "oid": "0" * 40, "size": 0}
                continue
            yield self._item(one)

    def _item(self, one: StoredObject) -> dict[str, Any]:
        blob = self._histories.blob(one.content)
        item: dict[str, Any] = {"type": "file", "path": one.key, "oid": blob.oid, "size": one.content.size}
        if blob.sha256 is not None:
            item["lfs"] = {"oid": blob.sha256, "size": one.content.size, "pointerSize": 135}
        return item

    async def _paths(self, request: web.Request) -> web.Response:
        commit, name = self._commit(request), request.match_info["name"]
        if request.content_type == "application/json":
            paths = (await request.json())["paths"]
        else:
            paths = (await request.post()).getall("paths")
        found = [self._histories.find(name, commit, path) for path in paths]
        return web.json_response([self._item(one) for one in found if one is not None])

    async def _resolve(self, request: web.Request) -> web.StreamResponse:
        commit = self._commit(request)
        stored = self._stored(request, commit)
        kind, name = request.match_info.get("kind", "models"), request.match_info["name"]
        place = f"{kind}/{HUB_OWNER}/{name}/{commit}/{quote(stored.key)}"
        blob = self._histories.blob(stored.content)
        headers = {
            "X-Repo-Commit": commit,
            "X-Linked-Size": str(stored.content.size),
            "X-Linked-Etag": f'"{blob.sha256 or blob.oid}"',
            "ETag": f'"{blob.sha256 or blob.oid}"',
        }
        if blob.sha256 is None:
            headers["Location"] = f"{HUB_PATH}/api/resolve-cache/{place}"
            return web.Response(status=307, headers=headers)
        headers["Location"] = f"{self._cdn_url()}/{place}?Signature={_signature(place)}"
        return web.Response(status=302, headers=headers)

    async def _bytes(self, request: web.Request) -> web.StreamResponse:
        place = request.path.removeprefix("/")
        is_cached = request.path.startswith(HUB_PATH)
        signed = _signature(quote(place)) == request.query.get("Signature")
        if not is_cached and not signed:
            return web.Response(status=HTTPStatus.FORBIDDEN)
        stored = self._stored(request, request.match_info["revision"])
        step = self._service.chooser.draw(RequestKind.GET, self._path(request))
        if step.kind is ObjectFaultKind.STATUS:
            self._record(RequestKind.GET, request, step.status, fault=str(step))
            return web.Response(status=step.status or 500)
        broken_off = await self._broken_off(step, RequestKind.GET, request)
        return broken_off if broken_off is not None else await self._served(request, stored, step)

    async def _served(
        self, request: web.Request, stored: StoredObject, step: ObjectStep
    ) -> web.StreamResponse:
        size = stored.content.size
        blob = self._histories.blob(stored.content)
        headers = {"ETag": f'"{blob.sha256 or blob.oid}"', "X-Repo-Commit": request.match_info["revision"]}
        try:
            wanted = wanted_range(request.headers.get("Range") if self._service.faults.ranges else None, size)
        except Unsatisfiable:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
        start, end = wanted if wanted is not None else (0, size)
        if wanted is not None:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        body = Body(content=stored.content, start=start, end=end, step=step)
        response = web.StreamResponse(status=200 if wanted is None else 206, headers=headers)
        response.content_length = body.declared_bytes
        if request.method == "HEAD":
            self._record(RequestKind.HEAD, request, response.status)
            return response
        shelf = self._service.shelves[request.match_info["name"]]
        sender = BodySender(body, lambda: self._service.change(shelf, stored, step))
        try:
            await sender.send(request, response)
        finally:
            self._record(
                RequestKind.GET,
                request,
                response.status,
                body_bytes=sender.written_bytes,
                first_byte=None if wanted is None else start,
                fault=None if step.kind is ObjectFaultKind.OK else str(step),
            )
        return response

    def _commit(self, request: web.Request) -> str:
        revision = request.match_info["revision"]
        commit = self._histories.commit_of(request.match_info["name"], revision)
        if commit is None:
            raise _Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    def _stored(self, request: web.Request, commit: str) -> StoredObject:
        stored = self._histories.find(request.match_info["name"], commit, request.match_info["path"])
        if stored is None:
            raise _Refused(404, "EntryNotFound", "Entry not found")
        return stored

    def _path(self, request: web.Request) -> str:
        return f"/{request.match_info['name']}/{request.match_info.get('path', '')}"

    def _record(self, kind: RequestKind, request: web.Request, status: int | None, **more: Any) -> None:
        record = ObjectRequest(
            kind=kind, path=self._path(request), status=status, access_key=access_key_of(request.headers)
        )
        self._service.record(replace(record, **more))


def _signature(place: str) -> str:
    return hashlib.sha256(f"play {place}".encode()).hexdigest()


def build_cdn_app(calls: HubCalls) -> web.Application:
    """Return the host of large files."""
    app = web.Application()
    app.add_routes(calls.cdn_routes())
    return app
