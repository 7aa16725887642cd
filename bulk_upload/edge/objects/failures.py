"""What an error of obstore means for an object, in words for the person who must mend it."""

from __future__ import annotations

import re
from http import HTTPStatus

from bulk_upload.core.run.source import SourceError

NO_SUCH_OBJECT = "there is no such object (404)"
REPLACED = "the object was replaced while it was read"

_STATUS = re.compile(r"status code: ([1-5][0-9]{2})", re.ASCII)
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>", re.ASCII)
_REFUSED = {401: "Unauthorized", 403: "Forbidden"}
_MISSING = {
    "NoSuchBucket": "bucket",
    "RepoNotFound": "repository, or it is a private one",
    "RevisionNotFound": "revision in the repository",
}
_AGAIN = frozenset({408, 425, 429})
_LOGIN_PLACES = ("169.254.169.254", "metadata.google.internal", "InstanceMetadata", "MissingSecretAccessKey")
"""Where obstore asks the machine for credentials when it has none."""


def no_answer(waited: str) -> SourceError:
    """Return the error for a store that stands still."""
    return SourceError(f"the store did not answer for {waited}", transient=True)


def source_error(error: Exception) -> SourceError:
    """Return an error of obstore as one about the object.

    Its own text is never passed on: it has addresses, headers and the answer of the store in it. What another try may
    mend is transient: it is read again. An object that is not there, or may not be read, is inaccessible.
    """
    text = str(error)
    if isinstance(error, FileNotFoundError):
        return SourceError(NO_SUCH_OBJECT, inaccessible=True)
    if any(one in text for one in _LOGIN_PLACES):
        return SourceError(
            "the store was not asked: there are no credentials for it in the environment, in bulk-upload.toml or on "
            "this machine",
            inaccessible=True,
        )
    if "BadScheme" in text:
        return SourceError(
            "the store's address is http://: name it as the endpoint in bulk-upload.toml, or pass --allow-plain-http",
            inaccessible=True,
        )
    status = _status_in(error, text)
    if status is not None:
        code = _CODE.search(text)
        return error_of_status(status, None if code is None else code[1])
    if "IncompleteBody" in text or "kind: Interrupted" in text or "UnexpectedEof" in text:
        return SourceError("the store sent less of the object than it announced", transient=True)
    if "Content-Length" in text or "MissingContentLength" in text:
        return SourceError("the server does not say how long the file is", inaccessible=True)
    if "kind: Timeout" in text or "TimedOut" in text:
        return SourceError("the store did not answer in time", transient=True)
    return SourceError(
        "the store could not be reached, or its answer could not be understood", transient=True
    )


def _status_in(error: Exception, text: str) -> int | None:
    name = type(error).__name__
    if name == "PreconditionError" or "Precondition {" in text:
        return HTTPStatus.PRECONDITION_FAILED
    found = _STATUS.search(text)
    if found is not None:
        return int(found[1])
    return {"PermissionDeniedError": 403, "UnauthenticatedError": 401}.get(name)


def error_of_status(status: int, code: str | None = None) -> SourceError:
    """Return the error for an answer of a place of objects; `code` is what else it said, such as `NoSuchBucket`."""
    said = f"{status}" if code is None else f"{status} {code}"
    if status == HTTPStatus.PRECONDITION_FAILED:
        return SourceError(REPLACED, transient=True)
    if status == HTTPStatus.NOT_FOUND:
        what = _MISSING.get(code or "", "object")
        return SourceError(f"there is no such {what} ({said})", inaccessible=True)
    if status in _REFUSED:
        return SourceError(f"the store refuses access to the object ({said})", inaccessible=True)
    if status in range(300, 400):
        return SourceError(
            f"the store says that the object is elsewhere ({said}): check region and endpoint",
            inaccessible=True,
        )
    if status in _AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return SourceError(f"the store is too busy or fails ({said})", transient=True)
    return SourceError(f"the store refuses the request ({said})", inaccessible=True)
