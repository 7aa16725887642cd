"""The calls that only Flow has: rename, and validate_metadata."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bulk_upload.sandbox.dialects.flow import FILE_TYPES, choice_problems, missing, unprocessable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from bulk_upload.sandbox.dialects.dialect import Detail
    from bulk_upload.sandbox.requests.calls import Calls
    from bulk_upload.sandbox.service import Service

FILE_BYTES_MAX = 4 * 10**9
"""docs.seekr.com/flow/sdk/data-engine/file-ingestion: "up to 4 GB each"."""

_TRAINING = frozenset({"jsonl", "parquet"})
_SUFFIXES = {"alignment": FILE_TYPES - {"pt", "parquet"}, "fine-tune": _TRAINING, "pre-train": _TRAINING}
_JSONL = frozenset({"jsonl"})


class FlowCalls:
    """Handlers of Flow's further calls."""

    def __init__(self, service: Service, calls: Calls) -> None:
        self._service = service
        self._calls = calls

    async def rename_file(self, request: web.Request) -> web.StreamResponse:
        """`PUT /v1/flow/files/{id}/rename` with `{"new_filename": str}`."""
        body, problems = await _json_object(request)
        if not problems:
            problems = _string_problems(body, "new_filename")
        if problems:
            return self._service.answers.problem(unprocessable(problems))
        file = self._calls.file(request)
        if file is None:
            return self._calls.not_found(request)
        renamed = self._service.store.rename(file, body["new_filename"])
        return self._service.answers.json(self._service.dialect.file_body(renamed))

    async def validate_metadata(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/flow/files/validate_metadata` with `{purpose, suffix, size}`; the suffix has no dot."""
        body, problems = await _json_object(request)
        if not problems:
            problems = self._metadata_problems(body)
        if problems:
            return self._service.answers.problem(unprocessable(problems))
        errors = metadata_errors(body["purpose"], body["suffix"], body["size"])
        return self._service.answers.json({"is_valid": errors is None, "errors": errors})

    def _metadata_problems(self, body: Mapping[str, Any]) -> list[Detail]:
        problems = _string_problems(body, "purpose") or choice_problems(
            body["purpose"], self._service.purposes, "body", "purpose"
        )
        problems += _string_problems(body, "suffix")
        if "size" not in body:
            problems.append(missing("body", "size"))
        elif isinstance(body["size"], bool) or not isinstance(body["size"], int):
            problems.append(_wrong_type("int", "integer", body["size"], "body", "size"))
        return problems


def metadata_errors(purpose: str, suffix: str, size: int) -> str | None:
    """Return why such a file would not be taken for that purpose, or None."""
    known = _SUFFIXES.get(purpose, _JSONL)
    if suffix.lower() not in known:
        return f"'{suffix}' files are not accepted for {purpose}; accepted: {', '.join(sorted(known))}"
    if not 0 < size <= FILE_BYTES_MAX:
        return f"a file has 1 to {FILE_BYTES_MAX} bytes, not {size}"
    return None


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
