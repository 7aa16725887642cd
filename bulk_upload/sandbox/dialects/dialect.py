"""What tells one Files API from another on the wire: paths, form, credentials, answers, errors. No I/O here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulk_upload.sandbox.stored_file import StoredFile

Body = dict[str, Any]
Detail = dict[str, Any]


class Habit(StrEnum):
    """What real servers do beside their description; each can be asked for in any dialect.

    `EQUAL_TIMES`: creation times have whole seconds. `LOSSY_CURSOR`: a page goes on with files that are older than
    the last one, so files of the same second are skipped (llama-stack 0.7.3). `SANITISED_NAMES`: what is not an
    ASCII letter, digit, dot, hyphen or underscore becomes an underscore. `CONFLICT`: content that is stored already
    is refused with 409 and the id of its file. `NO_CONTENT`: content cannot be read back (400).
    """

    EQUAL_TIMES = "equal-times"
    LOSSY_CURSOR = "lossy-cursor"
    SANITISED_NAMES = "sanitised-names"
    CONFLICT = "conflict"
    NO_CONTENT = "no-content"


class Credential(NamedTuple):
    """A header that may carry the key, and what stands before it."""

    header: str
    prefix: str = ""


BEARER = Credential("Authorization", "Bearer ")


class RequestHead(Protocol):
    """What is known of a request before its body."""

    @property
    def path(self) -> str:
        """The path without the query."""

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters of the query."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, whatever their case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a request is refused. `details` belong to FastAPI's 422; `file_id` is the file that is in the way."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    details: tuple[Detail, ...] = ()
    file_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Dialect(ABC):
    """How a Files API looks on the wire.

    Args:
        name: the profile's name.
        title: what the API is called.
        base_path: what a client's base URL has behind the host.
        url_variable: the variable in which this API's clients look for the base URL.
        key_variable: the same for the key.
        roots: the paths under which files live; each takes uploads, lists, and has a path for every file below it.
        purposes: the accepted values of `purpose`; None where the form has no such field.
        bulk_paths: paths that take several files in one form.
        required_headers: without them every request is refused.
        versioned_root: the one of `roots` that wants `api-version` in the query.
        habits: what servers of this kind do in any case.
    """

    name: str
    title: str
    base_path: str
    url_variable: str
    key_variable: str
    roots: tuple[str, ...]
    purposes: tuple[str, ...] | None
    method: str = "POST"
    bulk_paths: tuple[str, ...] = ()
    file_field: str = "file"
    credentials: tuple[Credential, ...] = (BEARER,)
    team_header: str | None = None
    size_member: str = "bytes"
    request_id_header: str = "x-request-id"
    required_headers: tuple[str, ...] = ()
    versioned_root: str | None = None
    habits: frozenset[Habit] = frozenset()

    def key_of(self, headers: Mapping[str, str]) -> str | Problem:
        """Return the key that a request came with, or why there is none."""
        for header, prefix in self.credentials:
            value = headers.get(header, "").strip()
            if value.lower().startswith(prefix.lower()) and value[len(prefix) :].strip():
                return value[len(prefix) :].strip()
        wanted = " or ".join(f"{header}: {prefix}KEY" for header, prefix in self.credentials)
        return Problem(
            status=401, message=f"You did not provide an API key: send {wanted}", code="invalid_api_key"
        )

    def request_problem(self, request: RequestHead) -> Problem | None:
        """Return why a request is refused for what its head lacks."""
        for name in self.required_headers:
            if name not in request.headers:
                return Problem(status=400, message=f"{name}: header is required")
        if (
            self.versioned_root is not None
            and request.path.startswith(self.versioned_root)
            and "api-version" not in request.query
        ):
            return Problem(status=404, message="Resource not found: the query has no api-version", code="404")
        return None

    @abstractmethod
    def form_problem(
        self, fields: Mapping[str, str], purposes: Sequence[str], *, has_file: bool
    ) -> Problem | None:
        """Return what is wrong with an upload form."""

    def file_id(self, token: str) -> str:
        """Return the id of a new file, made of a UUID."""
        return f"file-{token}"

    def success_status(self, path: str) -> int:  # noqa: ARG002
        """Return the status of the answer to a file that was stored."""
        return 200

    @abstractmethod
    def file_body(self, file: StoredFile) -> Body:
        """Return the answer that describes a file."""

    def retrieved_body(self, file: StoredFile) -> Body:
        """Return the answer to a look-up by id."""
        return self.file_body(file)

    def lookup_problem(self) -> Problem | None:
        """Return why no file can be listed or looked up at all."""
        return None

    @abstractmethod
    def page(self, query: Mapping[str, str], files: Sequence[StoredFile], *, lossy: bool) -> Body | Problem:
        """Return one page of `files`, which are all that the caller may see, oldest first."""

    @abstractmethod
    def deleted_body(self, file: StoredFile) -> Body:
        """Return the answer to a deletion."""

    def content_problem(self, file: StoredFile) -> Problem:
        """Return the refusal to read a file back."""
        return Problem(
            status=400,
            message=f"Not allowed to download files of purpose: {file.purpose}",
            code="invalid_request_error",
        )

    @abstractmethod
    def error_body(self, problem: Problem, request_id: str) -> Body:
        """Return the body of a refusal."""

    def wait_headers(self, wait_s: float) -> dict[str, str]:  # noqa: ARG002
        """Return the headers that name the wait of a rate limit beside `Retry-After`."""
        return {}


def unix_seconds(file: StoredFile) -> int:
    """Return the creation time as whole seconds since 1970."""
    return int(datetime.fromisoformat(file.created_at).timestamp())


def whole_number(query: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int | Problem:
    """Return a whole number of the query, `default` where it is not given."""
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        return Problem(
            status=400,
            message=f"Invalid '{name}': a whole number from {low} to {high}, not '{text[:40]}'",
            param=name,
        )
    return int(text)
