"""What an error of a filesystem means for a file on it."""

from __future__ import annotations

from bulk_upload.core.run.source import SourceError
from bulk_upload.edge.objects.failures import NO_SUCH_OBJECT, error_of_status

_REFUSALS = (
    "AuthenticationException",
    "BadAuthenticationType",
    "LogonFailure",
    "AccessDenied",
    "BadHostKeyException",
)
"""Errors of paramiko and smbprotocol, which need not be installed."""


def filesystem_error(error: BaseException) -> SourceError:
    """Return an error of fsspec, or of what it uses, as one about the file. Its own text is never passed on."""
    if isinstance(error, SourceError):
        return error
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return SourceError(NO_SUCH_OBJECT, inaccessible=True)
    if isinstance(error, IsADirectoryError):
        return SourceError("it is no file", inaccessible=True)
    if isinstance(error, PermissionError) or type(error).__name__ in _REFUSALS:
        return SourceError("the filesystem refuses access to the file", inaccessible=True)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return error_of_status(status)
    if type(error).__name__ == "error_perm":  # of ftplib: 530 for a login, 550 for a file
        return SourceError(
            "the filesystem refuses access to the file, or does not have it", inaccessible=True
        )
    return SourceError("the filesystem could not be reached, or its answer broke off", transient=True)
