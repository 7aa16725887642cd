"""A complaint about input, written for the person who must fix it."""

from __future__ import annotations

from dataclasses import dataclass

from bulk_upload.core.display import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with a manifest or a data file.

    `rule` is a short stable id (`unknown-field`, `missing-file`); `where` names the file; `line_no` is 1-based;
    `place` is a column, a field name or a JSON path; `found` says what is wrong; `remedy` what to do about it.
    """

    rule: str
    where: str
    found: str
    remedy: str
    line_no: int | None = None
    place: str | None = None

    def __str__(self) -> str:
        location = printable(self.where)
        if self.line_no is not None:
            location += f":{self.line_no}"
        if self.place is not None:
            location += f" [{printable(self.place)}]"
        return f"{location}: {printable(self.found)} ({self.rule}). {printable(self.remedy)}"
