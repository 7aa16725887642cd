"""OpenAI's Files API and its relatives: lists by cursor, times in whole seconds, errors in `error`.

Sources: the description openai-openapi 2.3.0 and the vendors' SDKs (openai 3.57.0, groq 1.7.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk_upload.sandbox.dialects.dialect import (
    BEARER,
    Body,
    Credential,
    Dialect,
    Habit,
    Problem,
    unix_seconds,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulk_upload.sandbox.stored_file import StoredFile

LIST_LIMIT_MAX = 10_000
"""The default as well: openai-openapi 2.3.0, `GET /files`."""

_ERROR_TYPES = {429: "rate_limit_exceeded", 401: "authentication_error", 403: "permission_error"}


@dataclass(frozen=True, kw_only=True)
class OpenAIDialect(Dialect):
    """The API that OpenAI describes, and what others made of it.

    Args:
        pages: whether the list takes `limit`, `after`, `order` and `purpose`; otherwise it is one page of all files.
        lists: whether the list and look-ups work at all.
    """

    pages: bool = True
    lists: bool = True

    def form_problem(
        self, fields: Mapping[str, str], purposes: Sequence[str], *, has_file: bool
    ) -> Problem | None:
        """Return the first thing that is wrong with a form."""
        if not has_file:
            return Problem(
                status=400, message=f"'{self.file_field}' is a required property", param=self.file_field
            )
        if "purpose" not in fields:
            return Problem(status=400, message="'purpose' is a required property", param="purpose")
        if fields["purpose"] not in purposes:
            known = ", ".join(f"'{one}'" for one in purposes)
            return Problem(
                status=400,
                message=f"Invalid value: '{fields['purpose'][:80]}'. Supported values are: {known}.",
                code="invalid_value",
                param="purpose",
            )
        return None

    def file_id(self, token: str) -> str:
        """Return `file-` and hexadecimal digits."""
        return f"file-{token.replace('-', '')}"

    def success_status(self, path: str) -> int:
        """Return 201 on Azure's older path, 200 elsewhere."""
        return 201 if path == self.versioned_root else 200

    def file_body(self, file: StoredFile) -> Body:
        """Return the API's OpenAIFile."""
        return {
            "id": file.file_id,
            "object": "file",
            "bytes": file.bytes,
            "created_at": unix_seconds(file),
            "filename": file.filename,
            "purpose": file.purpose,
            "status": "processed",
        }

    def lookup_problem(self) -> Problem | None:
        """Return LiteLLM's refusal of everything but uploads (1.108.7, with `files_settings`)."""
        return None if self.lists else Problem(status=500, message="Missing credentials")

    def page(self, query: Mapping[str, str], files: Sequence[StoredFile], *, lossy: bool) -> Body | Problem:
        """Return a page behind the cursor `after`, newest first unless `order=asc`."""
        if not self.pages:
            return {"object": "list", "data": [self.file_body(file) for file in reversed(files)]}
        limit = whole_number(query, "limit", LIST_LIMIT_MAX, low=1, high=LIST_LIMIT_MAX)
        if isinstance(limit, Problem):
            return limit
        found = [file for file in files if query.get("purpose") in (None, file.purpose)]
        if query.get("order", "desc") == "desc":
            found.reverse()
        rest = _behind(found, query["after"], lossy=lossy) if "after" in query else found
        if rest is None:
            return Problem(status=404, message=f"No such File object: {query['after'][:80]}", param="after")
        data = [self.file_body(file) for file in rest[:limit]]
        return {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": len(rest) > limit,
        }

    def deleted_body(self, file: StoredFile) -> Body:
        """Return the answer to a deletion."""
        return {"id": file.file_id, "object": "file", "deleted": True}

    def error_body(self, problem: Problem, request_id: str) -> Body:  # noqa: ARG002
        """Return `{"error": {...}}`."""
        kind = _ERROR_TYPES.get(
            problem.status, "invalid_request_error" if problem.status < 500 else "server_error"
        )
        error = {
            "message": problem.message,
            "type": problem.code if problem.code == "insufficient_quota" else kind,
            "param": problem.param,
            "code": problem.code,
        }
        return {"error": error} | ({} if problem.file_id is None else {"file_id": problem.file_id})

    def wait_headers(self, wait_s: float) -> dict[str, str]:
        """Return the wait in milliseconds, and when requests are free again."""
        return {
            "retry-after-ms": str(int(wait_s * 1000)),
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": f"{wait_s:.3f}s",
        }


def _behind(files: Sequence[StoredFile], last_id: str, *, lossy: bool) -> list[StoredFile] | None:
    """Return the files behind one; None where it is unknown."""
    place = next((number for number, file in enumerate(files) if file.file_id == last_id), None)
    if place is None:
        return None
    if not lossy:
        return list(files[place + 1 :])
    second = unix_seconds(files[place])
    return [file for file in files[place + 1 :] if unix_seconds(file) != second]


OPENAI = OpenAIDialect(
    name="openai",
    title="OpenAI's Files API",
    base_path="/v1",
    url_variable="OPENAI_BASE_URL",
    key_variable="OPENAI_API_KEY",
    roots=("/v1/files",),
    purposes=("assistants", "batch", "fine-tune", "vision", "user_data", "evals"),
)

AZURE = OpenAIDialect(
    name="azure",
    title="Azure OpenAI's Files API",
    base_path="/openai/v1",
    url_variable="AZURE_OPENAI_BASE_URL",
    key_variable="AZURE_OPENAI_API_KEY",
    roots=("/openai/v1/files", "/openai/files"),
    versioned_root="/openai/files",
    purposes=("assistants", "batch", "fine-tune", "evals"),
    credentials=(Credential("api-key"), BEARER),
    request_id_header="apim-request-id",
)

GROQ = OpenAIDialect(
    name="groq",
    title="Groq's Files API",
    base_path="",
    url_variable="GROQ_BASE_URL",
    key_variable="GROQ_API_KEY",
    roots=("/openai/v1/files",),
    purposes=("batch",),
    pages=False,
)

XAI = OpenAIDialect(
    name="xai",
    title="xAI's Files API",
    base_path="/v1",
    url_variable="XAI_BASE_URL",
    key_variable="XAI_API_KEY",
    roots=("/v1/files",),
    purposes=("assistants",),
)

LLAMA_STACK = OpenAIDialect(
    name="llama-stack",
    title="the Files API of Llama Stack",
    base_path="/v1",
    url_variable="LLAMA_STACK_BASE_URL",
    key_variable="LLAMA_STACK_API_KEY",
    roots=("/v1/files",),
    purposes=("assistants", "batch"),
    habits=frozenset({Habit.SANITISED_NAMES, Habit.LOSSY_CURSOR}),
)

LITELLM = OpenAIDialect(
    name="litellm",
    title="the Files API of LiteLLM's proxy",
    base_path="/v1",
    url_variable="LITELLM_BASE_URL",
    key_variable="LITELLM_API_KEY",
    roots=("/v1/files",),
    purposes=("assistants", "batch", "fine-tune", "user_data"),
    lists=False,
)
