"""The routes of the Flow Files API, and what every request passes: credentials and the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from bulk_upload.sandbox.answers import refusal
from bulk_upload.sandbox.journal import JournalRecord, RecordKind
from bulk_upload.sandbox.requests.calls import Calls
from bulk_upload.sandbox.requests.upload import Upload
from bulk_upload.sandbox.wire import current_connection

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from bulk_upload.sandbox.service import Service

UPLOAD_PATHS = ("/v1/flow/files", "/v1/flow/bulk_files")


def build_app(service: Service) -> web.Application:
    """Return the application that serves one sandbox."""

    async def upload(request: web.Request) -> web.StreamResponse:
        return await Upload(service, request, bulk=request.path == UPLOAD_PATHS[1]).run()

    @web.middleware
    async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _is_upload(request):
            # An upload keeps its own record: what it is about is known only once its body was read.
            return await handler(request)
        return await _called(service, request, handler)

    app = web.Application(middlewares=[gate])
    app.on_response_prepare.append(_note_answer)
    calls = Calls(service)
    for path in UPLOAD_PATHS:
        app.router.add_route("PUT", path, upload, expect_handler=_continue_later)
    app.router.add_get("/v1/flow/files", calls.list_files)
    app.router.add_post("/v1/flow/files/validate_metadata", calls.validate_metadata)
    app.router.add_get("/v1/flow/files/{file_id}", calls.get_file)
    app.router.add_delete("/v1/flow/files/{file_id}", calls.delete_file)
    app.router.add_get("/v1/flow/files/{file_id}/content", calls.get_content)
    app.router.add_put("/v1/flow/files/{file_id}/rename", calls.rename_file)
    return app


def _is_upload(request: web.Request) -> bool:
    return request.method == "PUT" and request.path in UPLOAD_PATHS


async def _called(service: Service, request: web.Request, handler: Handler) -> web.StreamResponse:
    number, moment = service.journal.arrived()
    problem = service.key_problem(request)
    try:
        answer = await handler(request) if problem is None else refusal(401, problem)
    except web.HTTPException as error:
        # No such path or method; FastAPI answers these with a JSON body.
        answer = refusal(error.status)
    service.journal.write(
        JournalRecord(
            kind=RecordKind.CALL,
            number=number,
            time=moment,
            connection=current_connection.get().number,
            method=request.method,
            path=request.path_qs,
            auth_ok=problem is None,
            team_id=request.headers.get("x-team-id"),
            content_length=request.content_length,
            status=answer.status,
        )
    )
    return answer


async def _continue_later(_request: web.Request) -> None:
    """Leave `100 Continue` to the handler, which may want to answer before the body."""


async def _note_answer(_request: web.Request, _answer: web.StreamResponse) -> None:
    current_connection.get().watch.answered()
