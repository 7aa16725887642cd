"""Failures by cause: a single problem shared by all entries must not fail the whole manifest."""

from __future__ import annotations

import re

from bulk_upload.core.model import EntryState

CANARY_MAX = 10
"""Failures for one cause before anything was accepted: the manifest, the purpose or the server is wrong."""

IN_A_ROW_MAX = 100
"""The same with nothing accepted in between, in a run in which entries were accepted before."""

CAUSES_MAX = 50
REASON_CHARS_MAX = 500

# Quoted names and words with digits differ from file to file; the HTTP status distinguishes causes.
_VARYING = re.compile(r"""(?<!\w)'[^']*'(?!\w)|"[^"]*"|(?<!HTTP )\b[\w.:-]*\d[\w.:-]*""")

_WORDS = {
    EntryState.REJECTED: "rejected by the server",
    EntryState.FAILED_LOCAL: "not readable here",
    EntryState.INVALID: "invalid",
    EntryState.WITHDRAWN: "accepted, and then no longer at the server",
}


def kind_of(reason: str) -> str:
    """Return a reason without the parts that differ from file to file: numbers and quoted names."""
    return _VARYING.sub("*", reason[:REASON_CHARS_MAX])


class FailureLimit:
    """Decides when a run has seen enough failures of one cause.

    Args: limit: how many entries may fail for one cause, as the person asked. None: `CANARY_MAX` in a row before
        anything was accepted and `IN_A_ROW_MAX` later; invalid entries then do not count, since they cost no request.
    """

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self._counts: dict[tuple[EntryState, str], int] = {}
        self._accepted_any = False

    def on_accepted(self) -> None:
        """Record that an entry was accepted."""
        self._accepted_any = True
        if self._limit is None:
            self._counts.clear()

    def on_failed(self, state: EntryState, reason: str) -> str | None:
        """Record that an entry failed; return why the run should stop, None while it should not."""
        if self._limit is None and state is EntryState.INVALID:
            return None
        cause = (state, kind_of(reason))
        if cause not in self._counts and len(self._counts) >= CAUSES_MAX:
            return None
        count = self._counts[cause] = self._counts.get(cause, 0) + 1
        words = f"{_WORDS[state]}: {reason}"
        if self._limit is not None:
            if count < self._limit:
                return None
            plural = "entry was" if count == 1 else "entries were"
            return f"{count} {plural} {words} (as many of one cause as --max-errors allows)"
        if count < (IN_A_ROW_MAX if self._accepted_any else CANARY_MAX):
            return None
        which = (
            f"{count} entries in a row were" if self._accepted_any else f"the first {count} entries were all"
        )
        return f"{which} {words}"
