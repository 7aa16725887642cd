"""What a person should know of accepted entries that a plan leaves as they are."""

from __future__ import annotations

import msgspec

from bulk_upload.core.run.plan import MISSING_WORD, RENAMED_WORD
from bulk_upload.core.text.wording import quoted


class Renamed:
    """Counts accepted entries that the manifest asks for under another name, and keeps the first one's names."""

    def __init__(self) -> None:
        self.count = 0
        self._first = ""

    def add(self, path: str, *, sent_name: str, asked_name: str) -> None:
        """Count one entry."""
        self.count += 1
        self._first = self._first or f"{quoted(path)} as {quoted(sent_name)}, not {quoted(asked_name)}"

    def warnings(self) -> tuple[str, ...]:
        """Return the warning about them, none where there are none."""
        if not self.count:
            return ()
        such_as = self._first if self.count == 1 else f"such as {self._first}"
        warning = (
            f"{self.count:,} accepted under another name than the manifest asks for: {such_as};"
            f" no server renames a file, `--retry {RENAMED_WORD}` sends it again under the new name"
        )
        return (warning,)


class Gone:
    """Counts accepted entries whose files `verify` found gone from the server."""

    def __init__(self) -> None:
        self.count = 0

    def warnings(self) -> tuple[str, ...]:
        """Return the warning about them, none where there are none."""
        if not self.count:
            return ()
        files = "file is" if self.count == 1 else "files are"
        words = f"{self.count:,} accepted {files} missing from the server, as `verify` found"
        return (f"{words}: `--retry {MISSING_WORD}` sends them again",)


class AcceptedNotes(msgspec.Struct, kw_only=True):
    """What a person should know of accepted entries."""

    renamed: Renamed = msgspec.field(default_factory=Renamed)
    gone: Gone = msgspec.field(default_factory=Gone)

    def warnings(self) -> tuple[str, ...]:
        """Return the warnings about them."""
        return (*self.renamed.warnings(), *self.gone.warnings())
