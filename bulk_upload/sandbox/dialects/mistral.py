"""Mistral's Files API: lists by page number, ids that are UUIDs.

Source: the vendor's SDK (mistralai 3.7.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk_upload.sandbox.dialects.dialect import Body, Dialect, Problem, unix_seconds, whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulk_upload.sandbox.stored_file import StoredFile

PAGE_SIZE = 100
PAGE_SIZE_MAX = 1000
_PAGES_MAX = 10**8


@dataclass(frozen=True, kw_only=True)
class MistralDialect(Dialect):
    """The API that Mistral's SDK speaks. `purpose` may be left out."""

    def form_problem(
        self, fields: Mapping[str, str], purposes: Sequence[str], *, has_file: bool
    ) -> Problem | None:
        """Return the first thing that is wrong with a form."""
        if not has_file:
            return Problem(status=422, message="Field required: file", code="3051")
        if fields.get("purpose", purposes[0]) not in purposes:
            return Problem(status=422, message=f"Invalid file purpose: {fields['purpose'][:80]}", code="3052")
        return None

    def file_id(self, token: str) -> str:
        """Return a UUID."""
        return token

    def file_body(self, file: StoredFile) -> Body:
        """Return what the SDK calls an uploaded file."""
        return {
            "id": file.file_id,
            "object": "file",
            "bytes": file.bytes,
            "created_at": unix_seconds(file),
            "filename": file.filename,
            "purpose": file.purpose or "fine-tune",
            "sample_type": "instruct",
            "source": "upload",
            "num_lines": None,
            "mimetype": "application/jsonl",
            "signature": file.sha256[:32],
        }

    def retrieved_body(self, file: StoredFile) -> Body:
        """Return a file as a look-up shows it: with `deleted`, which lists do not have."""
        return self.file_body(file) | {"deleted": False}

    def page(self, query: Mapping[str, str], files: Sequence[StoredFile], *, lossy: bool) -> Body | Problem:  # noqa: ARG002
        """Return the page of that number, from 0, newest first; `search` looks for a part of the name."""
        number = whole_number(query, "page", 0, low=0, high=_PAGES_MAX)
        if isinstance(number, Problem):
            return number
        size = whole_number(query, "page_size", PAGE_SIZE, low=1, high=PAGE_SIZE_MAX)
        if isinstance(size, Problem):
            return size
        found = [
            file
            for file in reversed(files)
            if query.get("purpose") in (None, file.purpose) and query.get("search", "") in file.filename
        ]
        page = found[number * size : (number + 1) * size]
        return {"object": "list", "data": [self.file_body(file) for file in page], "total": len(found)}

    def deleted_body(self, file: StoredFile) -> Body:
        """Return the answer to a deletion."""
        return {"id": file.file_id, "object": "file", "deleted": True}

    def error_body(self, problem: Problem, request_id: str) -> Body:  # noqa: ARG002
        """Return `{"object": "error", ...}`, or FastAPI's detail for a 422."""
        if problem.status == 422:
            detail = {"type": "value_error", "loc": ["body"], "msg": problem.message, "input": None}
            return {"detail": [detail]}
        body: Body = {
            "object": "error",
            "message": problem.message,
            "type": "invalid_request_error" if problem.status < 500 else "internal_server_error",
            "param": problem.param,
            "code": problem.code,
        }
        return body | ({} if problem.file_id is None else {"file_id": problem.file_id})


MISTRAL = MistralDialect(
    name="mistral",
    title="Mistral's Files API",
    base_path="",
    url_variable="MISTRAL_BASE_URL",
    key_variable="MISTRAL_API_KEY",
    roots=("/v1/files",),
    purposes=("fine-tune", "batch", "ocr", "agentic_safety"),
)
