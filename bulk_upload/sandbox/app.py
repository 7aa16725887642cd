"""The routes of a Files API, and what every request passes: credentials and the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from bulk_upload.sandbox.dialects.flow import FLOW
from bulk_upload.sandbox.journal import JournalRecord, RecordKind
from bulk_upload.sandbox.requests.calls import Calls
from bulk_upload.sandbox.requests.flow_calls import FlowCalls
from bulk_upload.sandbox.requests.upload import Upload
from bulk_upload.sandbox.wire import current_connection

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from bulk_upload.sandbox.dialects.dialect import Dialect
    from bulk_upload.sandbox.service import Service


def build_app(service: Service) -> web.Application:
    """Return the application that serves one sandbox."""
    dialect = service.dialect

    async def upload(request: web.Request) -> web.StreamResponse:
        return await Upload(service, request, bulk=request.path in dialect.bulk_paths).run()

    @web.middleware
    async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _is_upload(dialect, request):
            # An upload keeps its own record: what it is about is known only once its body was read.
            return await handler(request)
        return await _called(service, request, handler)

    app = web.Application(middlewares=[gate])
    app.on_response_prepare.append(_note_answer)
    calls = Calls(service)
    for path in (*dialect.roots, *dialect.bulk_paths):
        app.router.add_route(dialect.method, path, upload, expect_handler=_continue_later)
    for root in dialect.roots:
        app.router.add_get(root, calls.list_files)
        app.router.add_get(f"{root}/{{file_id}}", calls.get_file)
        app.router.add_delete(f"{root}/{{file_id}}", calls.delete_file)
        app.router.add_get(f"{root}/{{file_id}}/content", calls.get_content)
        if dialect is FLOW:
            flow_calls = FlowCalls(service, calls)
            app.router.add_post(f"{root}/validate_metadata", flow_calls.validate_metadata)
            app.router.add_put(f"{root}/{{file_id}}/rename", flow_calls.rename_file)
    return app


def _is_upload(dialect: Dialect, request: web.Request) -> bool:
    return request.method == dialect.method and request.path in (*dialect.roots, *dialect.bulk_paths)


async def _called(service: Service, request: web.Request, handler: Handler) -> web.StreamResponse:
    number, moment = service.journal.arrived()
    problem = service.problem(request)
    try:
        answer = await handler(request) if problem is None else service.answers.problem(problem)
    except web.HTTPException as error:
        # No such path or method; Files APIs answer these with a JSON body, too.
        answer = service.answers.refusal(error.status)
    service.journal.write(
        JournalRecord(
            kind=RecordKind.CALL,
            number=number,
            time=moment,
            connection=current_connection.get().number,
            method=request.method,
            path=request.path_qs,
            auth_ok=problem is None,
            team_id=service.team_of(request),
            content_length=request.content_length,
            status=answer.status,
        )
    )
    return answer


async def _continue_later(_request: web.Request) -> None:
    """Leave `100 Continue` to the handler, which may want to answer before the body."""


async def _note_answer(_request: web.Request, _answer: web.StreamResponse) -> None:
    current_connection.get().watch.answered()
