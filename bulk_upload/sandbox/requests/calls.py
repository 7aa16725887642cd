"""The calls beside uploading: list, look up, download, delete, rename, validate_metadata."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bulk_upload.core.text.printable import human_bytes
from bulk_upload.sandbox.answers import refusal, unprocessable
from bulk_upload.sandbox.requests.form import Detail, choice_problems, missing, purpose_problems
from bulk_upload.sandbox.store import FILE_TYPES, SORT_FIELDS, ListQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk_upload.sandbox.service import Service
    from bulk_upload.sandbox.store import StoredFile

LIST_LIMIT_MAX = 1000
"""The range of `limit` is undocumented; this is the one of the sibling call `GET /v1/flow/tools`."""

DEFAULT_QUERY = ListQuery()

FILE_BYTES_MAX = 4 * 10**9
"""docs.seekr.com/flow/sdk/data-engine/file-ingestion: "up to 4 GB each"."""

_TRAINING = frozenset({"jsonl", "parquet"})
_SUFFIXES = {"alignment": FILE_TYPES - {"pt", "parquet"}, "fine-tune": _TRAINING, "pre-train": _TRAINING}
_JSONL = frozenset({"jsonl"})


class Calls:
    """Handlers of the calls beside uploading. A file of another team is not found."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def list_files(self, request: web.Request) -> web.StreamResponse:
        """`GET /v1/flow/files`: a page without total; a client pages until a short page."""
        query, problems = parse_list_query(request.query, self._service.config.purposes)
        if problems:
            return unprocessable(problems)
        page = self._service.store.page(query, _team(request))
        return web.json_response({"object": "list", "data": [file.as_answer() for file in page]})

    async def get_file(self, request: web.Request) -> web.StreamResponse:
        """`GET /v1/flow/files/{id}`."""
        file = self._file(request)
        return web.json_response(file.as_answer()) if file is not None else _not_found(request)

    async def get_content(self, request: web.Request) -> web.StreamResponse:
        """`GET /v1/flow/files/{id}/content`, ranges included (the SDK probes with `bytes=0-1`)."""
        file = self._file(request)
        if file is None:
            return _not_found(request)
        if file.content is not None:
            return _content_answer(request, file.content)
        if file.path is None:
            kept = self._service.config.memory_bytes
            keeps = (
                f"contents up to {human_bytes(kept)} in all, and of this file the digest"
                if kept
                else "digests"
            )
            return refusal(404, f"this sandbox keeps {keeps} only: start it with --dir DIR to keep the bytes")
        return web.FileResponse(file.path, headers={"Content-Type": "application/octet-stream"})

    async def delete_file(self, request: web.Request) -> web.StreamResponse:
        """`DELETE /v1/flow/files/{id}`."""
        file = self._file(request)
        if file is None:
            return _not_found(request)
        self._service.store.delete(file)
        return web.json_response({"id": file.file_id, "object": "file", "deleted": True})

    async def rename_file(self, request: web.Request) -> web.StreamResponse:
        """`PUT /v1/flow/files/{id}/rename` with `{"new_filename": str}`."""
        body, problems = await _json_object(request)
        if not problems:
            problems = _string_problems(body, "new_filename")
        if problems:
            return unprocessable(problems)
        file = self._file(request)
        if file is None:
            return _not_found(request)
        return web.json_response(self._service.store.rename(file, body["new_filename"]).as_answer())

    async def validate_metadata(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/flow/files/validate_metadata` with `{purpose, suffix, size}`; the suffix has no dot."""
        body, problems = await _json_object(request)
        if not problems:
            problems = self._metadata_problems(body)
        if problems:
            return unprocessable(problems)
        errors = metadata_errors(body["purpose"], body["suffix"], body["size"])
        return web.json_response({"is_valid": errors is None, "errors": errors})

    def _metadata_problems(self, body: Mapping[str, Any]) -> list[Detail]:
        problems = _string_problems(body, "purpose") or purpose_problems(
            body["purpose"], self._service.config.purposes, "body"
        )
        problems += _string_problems(body, "suffix")
        if "size" not in body:
            problems.append(missing("body", "size"))
        elif isinstance(body["size"], bool) or not isinstance(body["size"], int):
            problems.append(_wrong_type("int", "integer", body["size"], "body", "size"))
        return problems

    def _file(self, request: web.Request) -> StoredFile | None:
        return self._service.store.get(request.match_info["file_id"], _team(request))


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


def metadata_errors(purpose: str, suffix: str, size: int) -> str | None:
    """Return why such a file would not be taken for that purpose, or None."""
    known = _SUFFIXES.get(purpose, _JSONL)
    if suffix.lower() not in known:
        return f"'{suffix}' files are not accepted for {purpose}; accepted: {', '.join(sorted(known))}"
    if not 0 < size <= FILE_BYTES_MAX:
        return f"a file has 1 to {FILE_BYTES_MAX} bytes, not {size}"
    return None


def parse_list_query(query: Mapping[str, str], purposes: tuple[str, ...]) -> tuple[ListQuery, list[Detail]]:
    """Read the query of a list call; unknown parameters are ignored, as FastAPI does."""
    limit, problems = _whole(query, "limit", DEFAULT_QUERY.limit, low=1, high=LIST_LIMIT_MAX)
    offset, offset_problems = _whole(query, "offset", DEFAULT_QUERY.offset, low=0, high=None)
    problems += offset_problems
    parsed = ListQuery(limit=limit, offset=offset)
    if "sort_by" in query:
        problems += choice_problems(query["sort_by"], SORT_FIELDS, "query", "sort_by")
        parsed = replace(parsed, sort_by=query["sort_by"])
    if "sort_order" in query:
        problems += choice_problems(query["sort_order"], ("asc", "desc"), "query", "sort_order")
        parsed = replace(parsed, descending=query["sort_order"] == "desc")
    if "purpose" in query:
        problems += purpose_problems(query["purpose"], purposes, "query")
        parsed = replace(parsed, purpose=query["purpose"])
    return parsed, problems


def _whole(
    query: Mapping[str, str], name: str, default: int, *, low: int, high: int | None
) -> tuple[int, list[Detail]]:
    text = query.get(name)
    if text is None:
        return default, []
    problem: Detail = {"loc": ["query", name], "input": text}
    if not re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
        message = "Input should be a valid integer, unable to parse string as an integer"
        return default, [problem | {"type": "int_parsing", "msg": message}]
    number = int(text)
    if number < low:
        message = f"Input should be greater than or equal to {low}"
        return default, [problem | {"type": "greater_than_equal", "msg": message, "ctx": {"ge": low}}]
    if high is not None and number > high:
        message = f"Input should be less than or equal to {high}"
        return default, [problem | {"type": "less_than_equal", "msg": message, "ctx": {"le": high}}]
    return number, []


async def _json_object(request: web.Request) -> tuple[dict[str, Any], list[Detail]]:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        context = {"error": str(error)}
        return {}, [
            {
                "type": "json_invalid",
                "loc": ["body", 0],
                "msg": "JSON decode error",
                "input": {},
                "ctx": context,
            }
        ]
    if not isinstance(body, dict):
        message = "Input should be a valid dictionary or object to extract fields from"
        return {}, [{"type": "model_attributes_type", "loc": ["body"], "msg": message, "input": body}]
    return body, []


def _string_problems(body: Mapping[str, Any], name: str) -> list[Detail]:
    if name not in body:
        return [missing("body", name)]
    if not isinstance(body[name], str):
        return [_wrong_type("string", "string", body[name], "body", name)]
    return []


def _wrong_type(kind: str, word: str, value: object, *loc: str) -> Detail:
    return {
        "type": f"{kind}_type",
        "loc": list(loc),
        "msg": f"Input should be a valid {word}",
        "input": value,
    }


def _team(request: web.Request) -> str | None:
    return request.headers.get("x-team-id")


def _not_found(request: web.Request) -> web.Response:
    return refusal(404, f"file {request.match_info['file_id']} not found")
