"""Judges by the first lines of a file whether it is of another purpose than its entry says."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bulk_upload.core.purposes import Format, shapes_of
from bulk_upload.core.text.text_bytes import BOM
from bulk_upload.core.validation.foreign import foreign_schema, likely_purpose, names_listed
from bulk_upload.core.validation.json_text import parse_line
from bulk_upload.core.validation.rules import PURPOSE_MISMATCH, Complaint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bulk_upload.core.purposes import Purpose

SAMPLE_LINES = 20
"""A file is of another purpose if over half of its first lines are, up to this many that are not blank."""

BEGINNING_BYTES = 256 * 1024
"""How much of a file is read to judge it before a run: enough for this many lines of nearly all data."""

_TOKENS = "input_ids"
"""A column of files that were tokenised before: they may keep their texts in others."""


class PurposeSample:
    """Judges the first lines of one file, one after the other.

    It ends with the first line if that one is as declared: then the file is not plainly of another purpose.
    """

    def __init__(self, declared: Purpose, known: Iterable[Purpose]) -> None:
        self._declared = declared
        self._known = tuple(shape for one in known for shape in shapes_of(one))
        self._likely: Counter[str] = Counter()
        self._line_count = 0
        self.is_over = not declared.schema.is_known
        """Whether no further line matters."""

    def add(self, value: object) -> None:
        """Count one line that is not blank, by what its JSON is; None where it is none."""
        if self.is_over:
            return
        self._line_count += 1
        other = self._other(value)
        if other is not None:
            self._likely[other.name] += 1
        self.is_over = self._line_count == SAMPLE_LINES or not self._likely

    def mismatch(self) -> Complaint | None:
        """Return a complaint that names the other purpose, None where the file may be what it is declared as."""
        for name, count in self._likely.most_common(1):
            if count * 2 > self._line_count:
                purpose = next(one for one in self._known if one.name == name)
                return _mismatch(
                    purpose, f"{self._share(count)} {names_listed(purpose.schema.required_names)}"
                )
        return None

    def _other(self, value: object) -> Purpose | None:
        if not isinstance(value, dict):
            return None
        needed = self._declared.schema.required_names
        if not value.keys() >= set(needed) and foreign_schema(value, self._declared.schema) is not None:
            return None
        other = likely_purpose(value, self._declared, self._known)
        if other is None or any(one in value for one in needed if one not in other.schema.required_names):
            # It has what only the declared purpose needs: something is missing, but it is not plainly another's.
            return None
        return other

    def _share(self, count: int) -> str:
        if self._line_count == 1:
            return "the first line has"
        what = f"{count} of" if count < self._line_count else "all of"
        return f"{what} the first {self._line_count} lines have"


def mismatch_of_beginning(
    beginning: bytes, *, is_whole: bool, path: str, declared: Purpose, known: Iterable[Purpose]
) -> Complaint | None:
    """Return what `Checker` says of a file's purpose, by the file's first bytes; None where it says nothing.

    Files that are not lines are not judged. `is_whole` says that there are no more bytes.
    """
    if declared.format_of(path) is not Format.JSON_LINES:
        return None
    lines = beginning.removeprefix(BOM).split(b"\n")
    if not is_whole:
        lines.pop()
    sample = PurposeSample(declared, known)
    for line in lines:
        if sample.is_over:
            break
        if line.strip():
            sample.add(parse_line(line).value)
    return sample.mismatch()


def mismatch_of_columns(
    columns: Sequence[str], declared: Purpose, known: Iterable[Purpose]
) -> Complaint | None:
    """Return a complaint that names the purpose whose columns a table has, None where the declared one is as likely."""
    if not declared.schema.fields or _TOKENS in columns:
        return None
    other = likely_purpose(columns, declared, known)
    return (
        None
        if other is None
        else _mismatch(other, f"it has the columns {names_listed(other.schema.required_names)}")
    )


def _mismatch(purpose: Purpose, why: str) -> Complaint:
    return Complaint(
        PURPOSE_MISMATCH,
        f"this is {purpose.name} data: {why}",
        remedy=f"Set the purpose {purpose.name}, or name the file that was meant",
    )
