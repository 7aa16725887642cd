"""Files inside messages: what is wanted of them, and why one cannot be had."""

from __future__ import annotations

from bulk_upload.core.fleet.messages import FileFault, WantedFile
from bulk_upload.core.fleet.wire import bytes_text, text_bytes
from bulk_upload.core.run.sender import PrepareRequest
from bulk_upload.core.run.source import SourceChanged, SourceError, SourceGrew


def wanted_file(request: PrepareRequest) -> WantedFile:
    """Return a file to get ready as it is sent."""
    return WantedFile(
        path=text_bytes(request.path),
        purpose=request.purpose,
        planned_bytes=request.planned_bytes,
        checks_content=request.checks_content,
        expected=request.expected,
    )


def prepare_request(wanted: WantedFile) -> PrepareRequest:
    """Return what `wanted_file` made a message of."""
    return PrepareRequest(
        path=bytes_text(wanted.path),
        purpose=wanted.purpose,
        planned_bytes=wanted.planned_bytes,
        checks_content=wanted.checks_content,
        expected=wanted.expected,
    )


def fault_of(error: SourceError) -> FileFault:
    """Return an error as it is sent."""
    return FileFault(
        reason=error.reason,
        local_limit=error.local_limit,
        transient=error.transient,
        inaccessible=error.inaccessible,
        invalid=error.invalid,
        changed=error.fingerprint if isinstance(error, SourceChanged) else None,
        grown=error.fingerprint if isinstance(error, SourceGrew) else None,
    )


def error_of(fault: FileFault) -> SourceError:
    """Return the error that `fault_of` made a fault of."""
    if fault.grown is not None:
        return SourceGrew(fault.grown)
    if fault.changed is not None:
        return SourceChanged(fault.reason, fault.changed, transient=fault.transient)
    return SourceError(
        fault.reason,
        local_limit=fault.local_limit,
        transient=fault.transient,
        inaccessible=fault.inaccessible,
        invalid=fault.invalid,
    )
