"""The mark and the colour of each count and state, on any terminal."""

from __future__ import annotations

import msgspec

from bulk_upload.core.model import EntryState


class Mark(msgspec.Struct, frozen=True):
    """A sign in front of a count: `ascii` where the terminal's encoding has no other, and the style of rich."""

    sign: str
    ascii: str
    style: str

    def text(self, *, has_unicode: bool) -> str:
        """Return the sign."""
        return self.sign if has_unicode else self.ascii


STATE_WORDS = {
    EntryState.ACCEPTED: "accepted",
    EntryState.IN_DOUBT: "in doubt",
    EntryState.REJECTED: "rejected",
    EntryState.FAILED_LOCAL: "failed",
    EntryState.INVALID: "invalid",
    EntryState.WITHDRAWN: "withdrawn",
    EntryState.PENDING: "not finished",
}
"""The one word of each state, in counts, messages and `--retry`."""

STATE_MARKS = {
    EntryState.ACCEPTED: Mark("\u2713", "+", "green"),
    EntryState.IN_DOUBT: Mark("?", "?", "yellow"),
    EntryState.REJECTED: Mark("\u2717", "x", "red"),
    EntryState.FAILED_LOCAL: Mark("\u2717", "x", "bright_red"),
    EntryState.INVALID: Mark("!", "!", "magenta"),
    EntryState.WITHDRAWN: Mark("-", "-", "color(137)"),
    EntryState.PENDING: Mark("\u2026", ".", "bright_black"),
}
RETRIED = Mark("\u21bb", "~", "cyan")
UNCHANGED = Mark("=", "=", "green")
GOOD = Mark("\u2713", "OK", "bold green")
BAD = Mark("\u2717", "!!", "bold red")


def has_unicode(encoding: str | None) -> bool:
    """Whether text in this encoding may have the marks and bars."""
    return (encoding or "").lower().replace("-", "").replace("_", "").startswith("utf")
