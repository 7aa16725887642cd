"""Manifest lines that are rows of a table, as people and spreadsheets write them, with a header on top."""

from __future__ import annotations

import csv
import re
from collections import deque
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.manifest.rules import (
    FIELD_NAMES,
    LINE_BYTES_MAX,
    checked_entry,
    too_long,
    unknown_field_remedy,
)
from bulk_upload.core.model import Entry
from bulk_upload.core.text.wording import nearest, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bulk_upload.core.finding import Finding
    from bulk_upload.core.manifest.rules import ManifestRules

DELIMITERS = (",", "\t", ";")

RECORD_LINES_MAX = 64
"""How many lines one quoted cell may span. An unclosed quote is detected after this many."""

_FORM_FIELD = "fields."
_COLUMN_NAMES = tuple(name for name in FIELD_NAMES if name != "fields")
_BLANK = " \t\r\n\x0b\x0c\u00a0\u200b\ufeff"
"""What a cell may hold and still be empty for people: spaces, also those that do not break or have no width."""

_SEPARATOR_LINE = re.compile(rb'"?sep=([^\r\n"]*)"?[\r\n]*', re.IGNORECASE)
_TEXT_FORMULA = re.compile(r'="([^"]*)"')
"""How a spreadsheet is made to keep `007` as it is: `="007"`, outside of quotes."""


def csv_delimiter(header: bytes, delimiters: Iterable[str] = DELIMITERS) -> str | None:
    """Return the separator of a header line's cells, or None where it is not the header of a manifest."""
    text = _text(header)
    for delimiter in delimiters:
        names = [_column_name(cell.strip(' "')) for cell in text.split(delimiter)]
        if any(name in _COLUMN_NAMES or name.startswith(_FORM_FIELD) for name in names):
            return delimiter
    return None


def declared_delimiter(line: bytes) -> str | None:
    """Return what a line such as `sep=;` declares, None for any other line.

    Spreadsheets write it, and read it, as the first line of a file.
    """
    declared = _SEPARATOR_LINE.fullmatch(line)
    return None if declared is None else _text(declared[1])


def csv_entries(
    numbered_lines: Iterable[tuple[int, bytes]], rules: ManifestRules, *, delimiter: str
) -> Iterator[Entry | Finding]:
    """Yield for each row its entry, or everything that is wrong with it.

    The first line is the header. An empty cell means a missing value. Rows without any text are
    skipped, and so are columns without a name, as long as their cells are empty.
    """
    rows = _Rows(numbered_lines, rules, delimiter)
    columns: _Columns | None = None
    row_count = 0
    for line_no, row in rows:
        if columns is None:
            columns = _Columns(line_no=line_no)
            yield from columns.read(row, rules) if isinstance(row, list) else [row]
            if columns.path is None:
                return
            continue
        if isinstance(row, list):
            if not any(row):
                continue
            result = _row_result(row, line_no, columns, rules)
            if isinstance(result, Entry):
                yield result
            else:
                yield from result
        else:
            yield row
        row_count += 1
    if not row_count:
        found = "the manifest has a header and no entries"
        yield rules.finding("empty-manifest", None, found=found, remedy="Add one row for each file")


class _Rows:
    """Iterates over (line number, cells), or (line number, finding) where the cells cannot be determined."""

    def __init__(
        self, numbered_lines: Iterable[tuple[int, bytes]], rules: ManifestRules, delimiter: str
    ) -> None:
        self._source = iter(numbered_lines)
        self._pushed_back: deque[tuple[int, bytes]] = deque()
        self._rules = rules
        self._delimiter = delimiter

    def __iter__(self) -> Iterator[tuple[int, list[str] | Finding]]:
        delimiter = self._delimiter
        while (numbered := self._next_line()) is not None:
            line_no, line = numbered
            if len(line) > LINE_BYTES_MAX:
                yield line_no, too_long(self._rules, line_no)
            elif b'"' in line:
                yield line_no, self._quoted_row(line_no, line)
            elif not line.isspace():
                cells = _text(line).split(delimiter)
                # Whoever quotes a space means it; between bare delimiters it is nothing.
                if b" " in line or not line.isascii():
                    cells = [cell if _has_text(cell) else "" for cell in cells]
                if any(cells):
                    yield line_no, cells

    def _next_line(self) -> tuple[int, bytes] | None:
        return self._pushed_back.popleft() if self._pushed_back else next(self._source, None)

    def _quoted_row(self, line_no: int, line: bytes) -> list[str] | Finding:
        further: list[tuple[int, bytes]] = []

        def row_lines() -> Iterator[str]:
            yield _with_line_end(line)
            size = len(line)
            while len(further) < RECORD_LINES_MAX - 1 and (numbered := self._next_line()) is not None:
                further.append(numbered)
                size += len(numbered[1])
                if size > LINE_BYTES_MAX:
                    return
                yield _with_line_end(numbered[1])

        try:
            row = next(csv.reader(row_lines(), delimiter=self._delimiter, strict=True))
            # Quotes within quotes are doubled: such a cell is text that only looks like a formula.
            return row if b'=""' in line or b'="' not in line else [_without_formula(cell) for cell in row]
        except csv.Error as error:
            # The lines after the first may be good: a stray quote must not hide what is wrong with them.
            self._pushed_back.extendleft(reversed(further))
            return self._bad_quotes(line_no, str(error))

    def _bad_quotes(self, line_no: int, reason: str) -> Finding:
        if reason == "unexpected end of data":
            reason = f"a cell begins with a quote that is not closed within {RECORD_LINES_MAX} lines"
        return self._rules.finding(
            "bad-csv",
            line_no,
            found=f"the row cannot be read: {reason}",
            remedy='Enclose a cell with quotes in quotes and double those inside: "5"" disk.jsonl"',
        )


class _Columns(msgspec.Struct, kw_only=True):
    """Where in a row each value is. `texts` are the places of `_COLUMN_NAMES`, one past the row if there is none.

    `unnamed` are the places of columns without a name, whose cells must be empty.
    """

    line_no: int
    width: int = 0
    path: int | None = None
    texts: Callable[[list[str]], tuple[str, ...]] = itemgetter(0, 0, 0, 0)
    form_fields: list[tuple[str, int]] = msgspec.field(default_factory=list)
    unnamed: list[int] = msgspec.field(default_factory=list)

    def read(self, header: list[str], rules: ManifestRules) -> Iterator[Finding]:
        """Read the columns from the header row, and yield what is wrong with it."""
        self.width = len(header)
        unknown = []
        places: dict[str, int] = {}
        for index, cell in enumerate(header):
            name = _column_name(cell)
            if not name:
                self.unnamed.append(index)
                continue
            if name in places:
                found = f"there are two columns {quoted(name)}"
                yield self._finding(rules, "duplicate-column", name, found, "Keep the one you mean")
                continue
            places[name] = index
            if name.startswith(_FORM_FIELD):
                self.form_fields.append((name.removeprefix(_FORM_FIELD), index))
            elif name not in _COLUMN_NAMES:
                unknown.append(name)
                found = f"an entry has no column {quoted(name)}"
                yield self._finding(rules, "unknown-column", name, found, unknown_field_remedy(name))
        self.path = places.get("path")
        self.texts = itemgetter(*(places.get(name, self.width) for name in _COLUMN_NAMES))
        if self.path is None and all(nearest(name, FIELD_NAMES) != "path" for name in unknown):
            found = 'there is no column "path"'
            remedy = "Write a header as the first line: path,purpose"
            yield self._finding(rules, "missing-column", "path", found, remedy)

    def _finding(self, rules: ManifestRules, rule: str, name: str, found: str, remedy: str) -> Finding:
        return rules.finding(rule, self.line_no, place=name, found=found, remedy=remedy)


def _row_result(
    row: list[str], line_no: int, columns: _Columns, rules: ManifestRules
) -> Entry | list[Finding]:
    if len(row) > columns.width and not any(map(_has_text, row[columns.width :])):
        # Cells to the right of the table that were emptied, not deleted.
        del row[columns.width :]
    if len(row) != columns.width:
        found = f"the row has {len(row)} cells, the header has {columns.width}"
        remedy = "Give it as many cells as the header has; enclose a cell with a delimiter in quotes"
        return [rules.finding("cell-count", line_no, found=found, remedy=remedy)]
    nameless = [
        _nameless(row[index], index, line_no, rules) for index in columns.unnamed if _has_text(row[index])
    ]
    if nameless:
        return nameless
    row.append("")
    path, purpose, remote_name, vector_database_id = columns.texts(row)
    return checked_entry(
        rules,
        line_no=line_no,
        path=path or None,
        purpose=purpose.strip(_BLANK) or None,
        remote_name=remote_name or None,
        vector_database_id=vector_database_id or None,
        fields=[(name, row[index]) for name, index in columns.form_fields if row[index]],
    )


def _nameless(cell: str, index: int, line_no: int, rules: ManifestRules) -> Finding:
    return rules.finding(
        "unnamed-column",
        line_no,
        place=f"column {_letters(index)}",
        found=f"the column has no name in the header, but the cell {quoted(cell)}",
        remedy="Name the column in the header, or empty its cells",
    )


def _letters(index: int) -> str:
    """Return what spreadsheets call a column, counted from 0: A to Z, AA and so on."""
    letters = ""
    number = index + 1
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return letters


def _column_name(cell: str) -> str:
    """Return the field that a header cell names: ` Remote Name` is `remote_name`. Form fields keep their spelling."""
    name = cell.strip(_BLANK)
    folded = re.sub(r"[\s_-]+", "_", name.lower())
    if folded.startswith(_FORM_FIELD):
        return _FORM_FIELD + name[len(_FORM_FIELD) :]
    return folded if folded in _COLUMN_NAMES else name


def _has_text(cell: str) -> bool:
    return cell != "" and cell.strip(_BLANK) != ""


def _without_formula(cell: str) -> str:
    formula = _TEXT_FORMULA.fullmatch(cell) if cell.startswith("=") else None
    return cell if formula is None else formula[1]


def _text(line: bytes) -> str:
    return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape")


def _with_line_end(line: bytes) -> str:
    # A CR stays: within quotes it is part of the name.
    return line.removesuffix(b"\n").decode("utf-8", "surrogateescape") + "\n"
