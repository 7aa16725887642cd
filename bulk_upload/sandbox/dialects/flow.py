"""Seekr Flow: FastAPI's answers, lists by offset, microseconds in ISO 8601.

Sources: docs.seekr.com/flow/reference and the official SDK (seekrai 0.35.0).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bulk_upload.sandbox.dialects.dialect import Body, Credential, Detail, Dialect, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bulk_upload.sandbox.stored_file import StoredFile

PURPOSES = ("reinforcement-fine-tune", "fine-tune", "preference-fine-tune", "pre-train", "alignment")
"""docs.seekr.com/flow/reference/file_upload_v1_flow_files_put"""

LIST_LIMIT_MAX = 1000
"""The range of `limit` is undocumented; this is the one of the sibling call `GET /v1/flow/tools`."""

_TRAINING = ("jsonl", "parquet", "pt")
_DOCUMENTS = ("html", "md", "rst", "rtf", "txt", "xml", "json", "csv", "doc", "docx", "pdf", "ppt", "pptx")
FILE_TYPES = frozenset(_TRAINING + _DOCUMENTS)
"""The suffixes the API knows as a file's `type`: the first three by its reference, the others by the SDK."""

_SORT_KEYS: dict[str, Callable[[StoredFile], Any]] = {
    "created_at": lambda file: file.created_at,
    "filename": lambda file: file.filename,
    "type": lambda file: file_type(file) or "",
    "size": lambda file: file.bytes,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """Which files to list. A `limit` of 100 is the default of the sibling call `GET /v1/flow/tools`."""

    limit: int = 100
    offset: int = 0
    sort_by: str = "created_at"
    descending: bool = True
    purpose: str | None = None


DEFAULT_QUERY = ListQuery()


@dataclass(frozen=True, kw_only=True)
class FlowDialect(Dialect):
    """The Flow Files API."""

    def key_of(self, headers: Mapping[str, str]) -> str | Problem:
        """Return the key: "Seekr API Key without 'Bearer' Prefix", says the reference."""
        key = headers.get("Authorization", "").strip()
        if not key:
            return Problem(status=401, message="no API key: send it in the Authorization header")
        if key.lower().startswith("bearer "):
            return Problem(
                status=401,
                message="the API key stands in the Authorization header by itself, without 'Bearer'",
            )
        return key

    def form_problem(
        self, fields: Mapping[str, str], purposes: Sequence[str], *, has_file: bool
    ) -> Problem | None:
        """Return what is wrong with a form, as FastAPI says it."""
        details: list[Detail] = []
        if "purpose" not in fields:
            details.append(missing("body", "purpose"))
        else:
            details += choice_problems(fields["purpose"], purposes, "body", "purpose")
        if not has_file and self.file_field in fields:
            details.append(
                {
                    "type": "value_error",
                    "loc": ["body", self.file_field],
                    "msg": "Value error, Expected UploadFile, received: <class 'str'>",
                    "input": fields[self.file_field][:200],
                    "ctx": {"error": {}},
                }
            )
        elif not has_file:
            details.append(missing("body", self.file_field))
        return unprocessable(details) if details else None

    def file_body(self, file: StoredFile) -> Body:
        """Return the API's FileResponse."""
        return {
            "id": file.file_id,
            "object": "file",
            "created_at": file.created_at,
            "type": file_type(file),
            "purpose": file.purpose,
            "filename": file.filename,
            "bytes": file.bytes,
            "created_by": "sandbox",
            "original_file_id": None,
            "deleted": False,
        }

    def page(self, query: Mapping[str, str], files: Sequence[StoredFile], *, lossy: bool) -> Body | Problem:  # noqa: ARG002
        """Return a page without total; a client pages until a short page."""
        wanted, problems = parse_list_query(query, self.purposes or ())
        if problems:
            return unprocessable(problems)
        found = [file for file in files if wanted.purpose in (None, file.purpose)]
        found.sort(key=_SORT_KEYS[wanted.sort_by], reverse=wanted.descending)
        page = found[wanted.offset : wanted.offset + wanted.limit]
        return {"object": "list", "data": [self.file_body(file) for file in page]}

    def deleted_body(self, file: StoredFile) -> Body:
        """Return the answer to a deletion."""
        return {"id": file.file_id, "object": "file", "deleted": True}

    def error_body(self, problem: Problem, request_id: str) -> Body:  # noqa: ARG002
        """Return `{"detail": ...}`: a sentence, or FastAPI's list."""
        return {"detail": list(problem.details) or problem.message}


FLOW = FlowDialect(
    name="flow",
    title="the Flow Files API",
    base_path="",
    url_variable="SEEKR_BASE_URL",
    key_variable="SEEKR_API_KEY",
    roots=("/v1/flow/files",),
    bulk_paths=("/v1/flow/bulk_files",),
    method="PUT",
    file_field="files",
    purposes=PURPOSES,
    credentials=(Credential("Authorization"),),
    team_header="x-team-id",
)


def file_type(file: StoredFile) -> str | None:
    """Return the suffix of the file name, where the API knows it."""
    suffix = file.filename.rpartition(".")[2].lower()
    return suffix if suffix in FILE_TYPES else None


def parse_list_query(query: Mapping[str, str], purposes: Sequence[str]) -> tuple[ListQuery, list[Detail]]:
    """Read the query of a list call; unknown parameters are ignored, as FastAPI does."""
    limit, problems = _whole(query, "limit", DEFAULT_QUERY.limit, low=1, high=LIST_LIMIT_MAX)
    offset, offset_problems = _whole(query, "offset", DEFAULT_QUERY.offset, low=0, high=None)
    problems += offset_problems
    parsed = ListQuery(limit=limit, offset=offset)
    if "sort_by" in query:
        problems += choice_problems(query["sort_by"], tuple(_SORT_KEYS), "query", "sort_by")
        parsed = replace(parsed, sort_by=query["sort_by"])
    if "sort_order" in query:
        problems += choice_problems(query["sort_order"], ("asc", "desc"), "query", "sort_order")
        parsed = replace(parsed, descending=query["sort_order"] == "desc")
    if "purpose" in query:
        problems += choice_problems(query["purpose"], purposes, "query", "purpose")
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


def unprocessable(details: Sequence[Detail]) -> Problem:
    """Return FastAPI's 422."""
    return Problem(status=422, message="the request is not valid", details=tuple(details))


def choice_problems(value: object, choices: Sequence[str], place: str, name: str) -> list[Detail]:
    """Return the 422 detail of a value that is none of `choices`, or nothing."""
    if value in choices:
        return []
    quoted = [f"'{choice}'" for choice in choices]
    expected = " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
    return [
        {
            "type": "enum",
            "loc": [place, name],
            "msg": f"Input should be {expected}",
            "input": value,
            "ctx": {"expected": expected},
        }
    ]


def missing(*loc: str) -> Detail:
    """Return the 422 detail of a value that is not there."""
    return {"type": "missing", "loc": list(loc), "msg": "Field required", "input": None}
