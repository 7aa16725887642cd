"""The mapping from path to file id, one row per entry, in stable columns."""

from __future__ import annotations

import re
from typing import NamedTuple


class ExportRow(NamedTuple):
    """One line of an export. Column names and their order are a contract; columns may be added at the end.

    A tuple, because an export of a million entries makes a million of them.

    `status` is an `EntryState` value, `superseded` for a receipt that a newer version of the file replaced, or
    `dropped` for one whose entry the manifest no longer has. A `withdrawn` row with a `file_id` is of a receipt that
    turned out to be false.
    `path` keeps undecodable bytes as surrogate escapes. Times are UTC text; `attempts` counts requests. `agent` sent the
    file, None where the process of the run did, or where nothing was sent. A row has `sha256` or `blake3`, or neither.
    """

    path: str
    purpose: str
    status: str
    file_id: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    sent_name: str | None = None
    attempts: int = 0
    http_status: int | None = None
    reason: str | None = None
    first_seen_utc: str | None = None
    settled_utc: str | None = None
    agent: str | None = None
    blake3: str | None = None


COLUMNS = ExportRow._fields

# The full-width forms start a formula in spreadsheets with an East Asian locale.
_FORMULA_STARTS = frozenset("=+-@|\uff1d\uff0b\uff0d\uff20")
_FORMULA_CELL = re.compile(",[=+\\-@|\uff1d\uff0b\uff0d\uff20]")
# Where the decimal point is a comma, spreadsheets split lines at semicolons: what follows one is a cell there.
_LATER_FORMULA = re.compile("""(;["']*)(?=[=+\\-@|\uff1d\uff0b\uff0d\uff20])""")
# Controls, line and paragraph separators, direction overrides, and the surrogates that stand for no byte.
_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udc7f\udd00-\udfff]"
)


def csv_cells(row: tuple[str | int | None, ...]) -> list[str]:
    """Return a row as CSV cells that a spreadsheet shows as text.

    A cell that would start a formula gets a leading apostrophe, and so does what follows a semicolon; control
    characters are spelled out. Surrogate
    escapes stay: encoded with `surrogateescape` they become the bytes of the file name again.
    """
    return ["" if value is None else str(value) if isinstance(value, int) else _safe(value) for value in row]


def plain_csv_line(row: tuple[str | int | None, ...]) -> str | None:
    """Return a row as its line of CSV where no cell has to be changed or quoted, as in nearly all rows; else None."""
    cells = [value if type(value) is str else "" if value is None else str(value) for value in row]
    line = ",".join(cells)
    if (
        line.count(",") == len(cells) - 1
        and '"' not in line
        and ";" not in line
        and line.isprintable()
        and line[:1] not in _FORMULA_STARTS
        and _FORMULA_CELL.search(line) is None
    ):
        return line
    return None


def _safe(value: str) -> str:
    text = _LATER_FORMULA.sub(r"\1'", _STEERING.sub(_spelled, value))
    return f"'{text}" if text[:1] in _FORMULA_STARTS else text


def _spelled(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
