"""The Files API with Starlette's own form parser, for uvicorn: `uvicorn --app-dir real_servers files_app:app`."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

BODY_BYTES_MAX = int(os.environ.get("FILES_APP_BODY_BYTES_MAX", "4000000"))
files: list[dict[str, Any]] = []


async def upload(request: Request) -> Response:
    """Take one form, unless it announces too much: that is refused before its body is read."""
    if int(request.headers.get("content-length", "0")) > BODY_BYTES_MAX:
        return JSONResponse({"detail": "too large"}, 413)
    async with request.form() as form:
        file = form.get("files")
        if not isinstance(file, UploadFile) or "purpose" not in form:
            return JSONResponse(
                {"detail": [{"loc": ["body"], "msg": "Field required", "type": "missing"}]}, 422
            )
        content = await file.read()
        stored = {
            "id": f"file-{len(files) + 1}",
            "object": "file",
            "created_at": datetime.now(UTC).isoformat(),
            "filename": file.filename,
            "bytes": len(content),
            "purpose": form["purpose"],
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        files.append(stored)
        return JSONResponse(stored)


async def listing(request: Request) -> Response:
    """List newest first."""
    offset, limit = int(request.query_params["offset"]), int(request.query_params["limit"])
    return JSONResponse({"object": "list", "data": files[::-1][offset : offset + limit]})


async def look_up(request: Request) -> Response:
    """Return one file."""
    found = [one for one in files if one["id"] == request.path_params["file_id"]]
    return JSONResponse(found[0]) if found else JSONResponse({"detail": "no such file"}, 404)


app = Starlette(
    routes=[
        Route("/v1/flow/files", upload, methods=["PUT"]),
        Route("/v1/flow/files", listing, methods=["GET"]),
        Route("/v1/flow/files/{file_id}", look_up, methods=["GET"]),
    ]
)
