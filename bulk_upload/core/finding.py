"""A complaint about input, written for the person who must fix it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from bulk_upload.core.text.printable import printable


class Severity(StrEnum):
    """How much a finding matters: an error keeps a file from being sent, a warning and a note do not.

    A warning is about the data; a note is about what was not checked.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a manifest or a data file.

    `rule` is a short stable id (`unknown-field`, `missing-file`); `where` names the file; `line_no` is 1-based;
    `place` is a column, a field name or a JSON path; `found` says what is wrong; `remedy` what to do about it.
    `convert` has the words of the options with which `bulk-upload convert FILE` puts it right, None where it does not.
    `column` counts characters from 1, `byte_offset` bytes of the file from 0, where they are known.
    """

    rule: str
    where: str
    found: str
    remedy: str
    line_no: int | None = None
    place: str | None = None
    severity: Severity = Severity.ERROR
    column: int | None = None
    byte_offset: int | None = None
    convert: tuple[str, ...] | None = None

    def __str__(self) -> str:
        location = printable(self.where)
        if self.line_no is not None:
            location += f":{self.line_no}"
        if self.place is not None:
            location += f" [{printable(self.place)}]"
        severity = "" if self.severity is Severity.ERROR else f"{self.severity}: "
        return f"{location}: {severity}{printable(self.found)} ({self.rule}). {printable(self.remedy)}"
