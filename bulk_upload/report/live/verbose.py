"""The lines that -v and -vv add to a run's output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.events import AttemptEnded, AttemptStarted, EntrySettled
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.log_records import name_of
from bulk_upload.core.text.printable import human_bytes, human_seconds, printable

if TYPE_CHECKING:
    from bulk_upload.core.events import Event


def verbose_line(event: Event, verbosity: int) -> str | None:
    """Return the line for an event at a verbosity of 1 or 2, None for none."""
    match event:
        case EntrySettled(state=EntryState.ACCEPTED, receipt=receipt) if receipt is not None:
            if event.unchanged:
                return f"unchanged: {printable(event.path)}: {receipt.file_id}, nothing was sent"
            return f"accepted: {printable(event.path)}: {receipt.file_id}, {human_bytes(event.file_bytes)}"
        case AttemptEnded(retry_in_s=wait_s) if wait_s is not None:
            why = f"{_words(event)}; retry in {human_seconds(wait_s)}"
            return f"attempt {event.attempt_no}: {printable(event.path)}: {why}"
        case AttemptEnded() if verbosity > 1:
            took = human_seconds(event.duration_s)
            return f"attempt {event.attempt_no}: {printable(event.path)}: {_words(event)} after {took}"
        case AttemptStarted() if verbosity > 1:
            size = human_bytes(event.file_bytes)
            return f"attempt {event.attempt_no}: {printable(event.path)}: sending {size}{_by(event.agent)}"
        case _:
            return None


def _by(agent: str | None) -> str:
    return "" if agent is None else f" by {printable(agent)}"


def _words(event: AttemptEnded) -> str:
    kind = name_of(type(event.outcome).__name__).replace("_", " ")
    reason = getattr(event.outcome, "reason", "")
    return f"{kind} ({printable(reason)})" if reason else kind
