"""Reads the entries of a manifest in any format, line by line, complaints included.

Nothing is kept: a manifest of millions of lines needs no more memory than its longest line.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from bulk_upload.core.manifest.csv_rows import DELIMITERS, csv_delimiter, csv_entries, declared_delimiter
from bulk_upload.core.manifest.header import header_of, is_header
from bulk_upload.core.manifest.jsonl import jsonl_entries
from bulk_upload.core.shapes.command import FIX, ConvertCommand
from bulk_upload.core.text.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bulk_upload.core.finding import Finding
    from bulk_upload.core.manifest.rules import ManifestRules
    from bulk_upload.core.model import Entry

_UTF8_MARK = b"\xef\xbb\xbf"

_UTF16 = "UTF-16 text"
_UTF16_REMEDY = 'Save it as "CSV UTF-8" in the spreadsheet, or as UTF-8 in the editor'
_SQLITE_MAGIC = b"SQLite format 3"
_FOREIGN_CONTENT = {
    b"\xff\xfe": _UTF16,
    b"\xfe\xff": _UTF16,
    b"\x1f\x8b": "compressed by gzip",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"PAR1": "a parquet file",
    _SQLITE_MAGIC: "an SQLite database, such as a ledger",
}
_JSONL_SUFFIXES = (".jsonl", ".ndjson", ".json")
_CSV_SUFFIXES = (".csv", ".tsv")


def read_manifest(lines: Iterable[bytes], rules: ManifestRules) -> Iterator[Entry | Finding]:
    """Yield the entries of a manifest in order, and in their place everything that is wrong with it.

    The content decides the format: lines that begin with `{` are JSON Lines, a header with the names of fields is
    CSV; the suffix of `rules.where` decides only where the content does not. A byte order mark and a header are skipped.

    Args:
        lines: with or without line ends; LF and CRLF are the same.
        rules: what the entries are checked against.

    No content raises an error; errors of `lines` itself propagate.
    """
    numbered = enumerate(lines, start=1)
    first = next(((line_no, line) for line_no, line in numbered if not _is_blank(line)), None)
    if first is None:
        remedy = 'Write one line for each file: {"path": "train.jsonl", "purpose": "..."}'
        yield rules.finding("empty-manifest", None, found="the manifest is empty", remedy=remedy)
        return
    line_no, line = first
    if is_header(line):
        yield from _after_header(line_no, line, numbered, rules)
        return
    refusal = _refusal(line_no, line, rules)
    if refusal is not None:
        yield refusal
        return
    line = line.removeprefix(_UTF8_MARK)
    declared = declared_delimiter(line)
    if declared is not None:
        yield from _declared_entries(line_no, declared, numbered, rules)
        return
    whole = chain([(line_no, line)], numbered)
    delimiter = None if _is_json(line, rules.where) else csv_delimiter(line)
    if delimiter is None and not _is_json(line, rules.where):
        yield _no_header(line_no, rules)
    elif delimiter is None:
        yield from jsonl_entries(whole, rules)
    else:
        yield from csv_entries(whole, rules, delimiter=delimiter)


def _after_header(
    line_no: int, line: bytes, numbered: Iterator[tuple[int, bytes]], rules: ManifestRules
) -> Iterator[Entry | Finding]:
    """Yield what comes after a header, which is for whoever opens the manifest."""
    try:
        header_of(line)
    except ValueError as error:
        remedy = "Let `bulk-upload scan` write the manifest again, or remove the line and pass --root"
        yield rules.finding("bad-header", line_no, found=f"the header is wrong: {error}", remedy=remedy)
        return
    entry_count = 0
    for one in jsonl_entries(numbered, rules):
        entry_count += 1
        yield one
    if not entry_count:
        remedy = 'Write one line for each file: {"path": "train.jsonl", "purpose": "..."}'
        yield rules.finding("empty-manifest", None, found="the manifest has a header only", remedy=remedy)


def _declared_entries(
    line_no: int, declared: str, numbered: Iterator[tuple[int, bytes]], rules: ManifestRules
) -> Iterator[Entry | Finding]:
    """Yield what comes after a first line that declares the delimiter."""
    if declared not in DELIMITERS:
        found = f"the line declares {quoted(declared)} as the delimiter"
        remedy = "Separate the cells by comma, tab or semicolon; or remove the line"
        yield rules.finding("bad-delimiter", line_no, found=found, remedy=remedy)
        return
    first = next(((no, line) for no, line in numbered if not _is_blank(line)), None)
    if first is None:
        found = "the manifest declares a delimiter and has no header"
        remedy = f"Write a header as the next line: path{declared}purpose"
        yield rules.finding("empty-manifest", None, found=found, remedy=remedy)
        return
    other = csv_delimiter(first[1])
    if other is not None and csv_delimiter(first[1], (declared,)) is None:
        found = (
            f"line {line_no} declares {quoted(declared)} as the delimiter, and the header has {quoted(other)}"
        )
        remedy = f"Remove line {line_no}, or separate the cells by what it says"
        yield rules.finding("bad-delimiter", first[0], found=found, remedy=remedy)
        return
    yield from csv_entries(chain([first], numbered), rules, delimiter=declared)


def _is_blank(line: bytes) -> bool:
    return not line.removeprefix(_UTF8_MARK).strip()


def _is_json(line: bytes, name: str) -> bool:
    if line.lstrip().startswith(b"{"):
        return True
    return name.lower().endswith(_JSONL_SUFFIXES) and csv_delimiter(line) is None


def _refusal(line_no: int, line: bytes, rules: ManifestRules) -> Finding | None:
    """Return why the content as a whole is not a manifest: one finding instead of one for each line."""
    content = next((what for start, what in _FOREIGN_CONTENT.items() if line.startswith(start)), None)
    if content is None and b"\0" in line:
        content = _UTF16 if _is_utf16(line) else "binary, or text in another encoding"
    if content is not None:
        remedy = _UTF16_REMEDY if content == _UTF16 else "Save it as plain UTF-8 text, JSON Lines or CSV"
        if line.startswith(_SQLITE_MAGIC):
            remedy = "Name the manifest, JSON Lines or CSV; `bulk-upload status LEDGER` shows a ledger"
        return rules.finding("not-text", None, found=f"the manifest is {content}", remedy=remedy)
    text = line.removeprefix(_UTF8_MARK).strip()
    if b"\r" in text:
        remedy = "Save it with LF or CRLF line ends"
        found = "the line ends of the manifest are CR only"
        return rules.finding("line-ends", line_no, found=found, remedy=remedy)
    if text.startswith(b"["):
        found = "the manifest is one JSON array, not one object on each line"
        remedy = f"Write a copy with one object on each line: {_command(rules)}"
        return rules.finding("json-array", line_no, found=found, remedy=remedy)
    if text == b"{":
        found = "a JSON object starts here and spans several lines"
        remedy = f"Write a copy with one object on each line: {_command(rules)}"
        return rules.finding("json-over-lines", line_no, found=found, remedy=remedy)
    return None


def _command(rules: ManifestRules) -> str:
    """Return the command that writes a JSON manifest as JSON Lines, beside it."""
    return ConvertCommand(file=rules.where).line(FIX)


def _is_utf16(line: bytes) -> bool:
    """Whether a line is UTF-16 without a byte order mark: ASCII with every other byte zero."""
    return any(set(line[start::2]) <= {0} and 0 not in line[1 - start : 8 - start : 2] for start in (0, 1))


def _no_header(line_no: int, rules: ManifestRules) -> Finding:
    if rules.where.lower().endswith(_CSV_SUFFIXES):
        found = "the first line is not a header that names the columns"
        remedy = "Write a header as the first line: path,purpose"
        return rules.finding("missing-header", line_no, found=found, remedy=remedy)
    return rules.finding(
        "unknown-format",
        line_no,
        found="the manifest is neither JSON Lines nor CSV with a header",
        remedy='Begin with {"path": "...", "purpose": "..."} on each line, or with a header such as path,purpose',
    )
