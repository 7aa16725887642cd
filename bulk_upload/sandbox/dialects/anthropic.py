"""Anthropic's Files API: no purpose, an opaque next page, content that cannot be read back.

Source: the vendor's SDK (anthropic 2.14.0).
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk_upload.sandbox.dialects.dialect import (
    BEARER,
    Body,
    Credential,
    Dialect,
    Habit,
    Problem,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulk_upload.sandbox.stored_file import StoredFile

LIST_LIMIT = 20
LIST_LIMIT_MAX = 1000
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


@dataclass(frozen=True, kw_only=True)
class AnthropicDialect(Dialect):
    """The API that Anthropic's SDK speaks."""

    def form_problem(
        self,
        fields: Mapping[str, str],  # noqa: ARG002
        purposes: Sequence[str],  # noqa: ARG002
        *,
        has_file: bool,
    ) -> Problem | None:
        """Return what is wrong with a form."""
        return None if has_file else Problem(status=400, message="file: Field required")

    def file_id(self, token: str) -> str:
        """Return `file_` and hexadecimal digits."""
        return f"file_{token.replace('-', '')}"

    def file_body(self, file: StoredFile) -> Body:
        """Return the API's FileMetadata."""
        return {
            "id": file.file_id,
            "type": "file",
            "filename": file.filename,
            "mime_type": "application/octet-stream",
            "size_bytes": file.bytes,
            "created_at": file.created_at.replace("+00:00", "Z"),
            "downloadable": False,
        }

    def page(self, query: Mapping[str, str], files: Sequence[StoredFile], *, lossy: bool) -> Body | Problem:  # noqa: ARG002
        """Return a page, newest first, and the token of the next one."""
        limit = whole_number(query, "limit", LIST_LIMIT, low=1, high=LIST_LIMIT_MAX)
        if isinstance(limit, Problem):
            return limit
        found = list(reversed(files))
        if "page" in query:
            last_id = _opened(query["page"])
            place = next((number for number, file in enumerate(found) if file.file_id == last_id), None)
            if place is None:
                return Problem(status=400, message="page: not a valid page token")
            found = found[place + 1 :]
        shown, more = found[:limit], len(found) > limit
        return {
            "data": [self.file_body(file) for file in shown],
            "has_more": more,
            "first_id": shown[0].file_id if shown else None,
            "last_id": shown[-1].file_id if shown else None,
            "next_page": _sealed(shown[-1].file_id) if more else None,
        }

    def deleted_body(self, file: StoredFile) -> Body:
        """Return the answer to a deletion."""
        return {"id": file.file_id, "type": "file_deleted"}

    def content_problem(self, file: StoredFile) -> Problem:
        """Return the refusal: only what tools made can be downloaded."""
        return Problem(
            status=400, message=f"File {file.file_id} is not downloadable", code="file_not_downloadable"
        )

    def error_body(self, problem: Problem, request_id: str) -> Body:
        """Return `{"type": "error", ...}` with the request's id."""
        kind = problem.code or _TYPES.get(
            problem.status, "api_error" if problem.status >= 500 else "invalid_request_error"
        )
        body: Body = {
            "type": "error",
            "error": {"type": kind, "message": problem.message},
            "request_id": request_id,
        }
        return body | ({} if problem.file_id is None else {"file_id": problem.file_id})


ANTHROPIC = AnthropicDialect(
    name="anthropic",
    title="Anthropic's Files API",
    base_path="",
    url_variable="ANTHROPIC_BASE_URL",
    key_variable="ANTHROPIC_API_KEY",
    roots=("/v1/files",),
    purposes=None,
    credentials=(BEARER, Credential("x-api-key")),
    required_headers=("anthropic-version",),
    size_member="size_bytes",
    request_id_header="request-id",
    habits=frozenset({Habit.NO_CONTENT}),
)


def _sealed(file_id: str) -> str:
    return urlsafe_b64encode(file_id.encode("ascii")).decode("ascii")


def _opened(token: str) -> str | None:
    try:
        return urlsafe_b64decode(token.encode("ascii")).decode("ascii")
    except ValueError:
        return None
