"""What a file is for, by its content: a purpose only where exactly one takes such a file."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import msgspec

from bulk_upload.core.convert.csv_rows import delimiter_of
from bulk_upload.core.finding import Severity
from bulk_upload.core.purposes import Kind, suffix_of
from bulk_upload.core.text.text_bytes import BOM
from bulk_upload.core.validation.file_types import (
    HEAD_BYTES,
    PARQUET_MAGIC,
    document_complaint,
    is_marked_document,
    not_json_lines,
    torch_complaint,
)
from bulk_upload.core.validation.first_lines import suspicion
from bulk_upload.core.validation.foreign import foreign_schema
from bulk_upload.core.validation.json_text import parse_line
from bulk_upload.core.validation.line_schema import LineRules
from bulk_upload.core.validation.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from bulk_upload.core.purposes import Purpose

LINES_EXAMINED_MAX = 20
"""So many lines at the start of a file decide. Validation reads the rest before anything is sent."""

EMPTY = "empty"
TEXT = "text, which may be a document or anything else"
NOT_TAKEN = ", which cannot be converted"
"""How a reason ends where neither a purpose nor a conversion helps."""
SEVERAL_PURPOSES = "lines of several purposes"

_KEYS_SHOWN = 4
_DECODER = json.JSONDecoder()
_TABLES = (".csv", ".tsv")
_COLUMNS_MIN = 2
_PARQUET, _TORCH = ".parquet", (".pt", ".pth")


class Likeness(msgspec.Struct, frozen=True, kw_only=True):
    """What a file is for. `purpose` may be a mere guess: it counts where `is_sure`; otherwise `reason` says why not.

    `convert_to` names the purposes that a file in another shape can be converted for.
    """

    purpose: str | None = None
    is_sure: bool = False
    reason: str = ""
    convert_to: tuple[str, ...] = ()


class FileHead(msgspec.Struct, frozen=True, kw_only=True):
    """The beginning of a file, which is all of it where `is_whole`.

    `columns` are those of a Parquet file; None where they could not be read.
    """

    content: bytes
    is_whole: bool
    columns: tuple[str, ...] | None = None


def likeness(path: str, head: FileHead, purposes: Collection[Purpose]) -> Likeness:
    """Return which of `purposes` a file is for, by its name and its first lines.

    A purpose counts as sure if it is the only one that takes such files: lines with the fields that its schema requires,
    at least one of them without an error; documents of a type that shows in their first bytes; Parquet files with its
    columns. A purpose whose fields are part of another's that fits is not meant. A purpose that takes documents, too, is
    not meant by lines that another purpose takes.
    """
    suffix = suffix_of(path)
    if not head.content:
        return Likeness(reason=EMPTY)
    if suffix == _PARQUET or head.content.startswith(PARQUET_MAGIC):
        return _parquet(suffix, head, purposes)
    if suffix in _TORCH:
        return Likeness(reason=torch_complaint(head.content[:HEAD_BYTES]).found)
    takers = [one for one in purposes if suffix in one.documents]
    if takers and is_marked_document(suffix):
        return _document(path, head.content[:HEAD_BYTES], takers)
    in_array = _in_array(head, purposes)
    if in_array is not None:
        return in_array
    in_table = _in_table(suffix, head, purposes)
    if in_table is not None:
        return in_table
    by_lines = _by_lines(suffix, head, purposes)
    if takers and by_lines.purpose is None and not head.content[:HEAD_BYTES].startswith(b"PK"):
        complaint = document_complaint(path, head.content[:HEAD_BYTES])
        guess = takers[0].name if len(takers) == 1 and complaint is None else None
        return Likeness(purpose=guess, reason=TEXT)
    return by_lines


def _document(path: str, head: bytes, takers: Sequence[Purpose]) -> Likeness:
    complaint = document_complaint(path, head)
    if complaint is not None:
        return Likeness(reason=complaint.found)
    if len(takers) > 1:
        return Likeness(reason=_several(one.name for one in takers))
    return Likeness(purpose=takers[0].name, is_sure=True)


def _parquet(suffix: str, head: FileHead, purposes: Collection[Purpose]) -> Likeness:
    if suffix != _PARQUET:
        return Likeness(reason="a Parquet file without the suffix .parquet")
    takers = [one for one in purposes if _PARQUET in one.suffixes]
    guess = takers[0].name if len(takers) == 1 else None
    if head.columns is None:
        return Likeness(purpose=guess, reason="a Parquet file whose columns could not be read")
    names = _meant(dict.fromkeys(head.columns, ""), takers, by_kind=False)
    if len(names) == 1:
        return Likeness(purpose=names[0], is_sure=True)
    if names:
        return Likeness(reason=_several(names))
    return Likeness(purpose=guess, reason=f"a Parquet file with {_listed(head.columns)}")


def _by_lines(suffix: str, head: FileHead, purposes: Collection[Purpose]) -> Likeness:
    complaint = not_json_lines(head.content[:HEAD_BYTES])
    if complaint is not None:
        return Likeness(reason=complaint.found.removesuffix(", not JSON Lines").removeprefix("the file is "))
    described = {one.name: one for one in purposes if one.schema.fields}
    found: dict[str, None] = {}
    errors: list[str] = []
    example_count = 0
    for value in _examples(head):
        if isinstance(value, str):
            return Likeness(reason=value)
        names = _meant(value, described.values())
        if not names:
            return _begun_like(found) or _unknown(value, described.values())
        if len(names) > 1:
            return Likeness(reason=_several(names))
        found[names[0]] = None
        wrong = [
            one
            for one in LineRules(described[names[0]].schema).complaints(value)
            if RULES[one.rule].severity is Severity.ERROR
        ]
        errors += [wrong[0].found] if wrong else []
        example_count += 1
    if len(found) > 1:
        return Likeness(reason=f"{SEVERAL_PURPOSES}: {' and '.join(found)}")
    if not found:
        return Likeness(reason="no line of JSON")
    purpose = described[next(iter(found))]
    if len(errors) == example_count:
        return Likeness(purpose=purpose.name, reason=f"like {purpose.name}, but {errors[0]}")
    if suffix not in purpose.suffixes:
        usual = ", ".join(purpose.suffixes) or "another suffix"
        return Likeness(
            purpose=purpose.name, reason=f"like {purpose.name}, whose files usually end in {usual}"
        )
    return Likeness(purpose=purpose.name, is_sure=True)


def _examples(head: FileHead) -> Iterable[Mapping[str, Any] | str]:
    """Yield the objects on the first lines; or, and then nothing else, why these are not lines of JSON."""
    lines = head.content.removeprefix(BOM).split(b"\n")
    if not head.is_whole:
        lines.pop()
        if not lines:
            yield "the first line is too long to examine"
            return
    wanted = [line for line in lines[: 4 * LINES_EXAMINED_MAX] if line.strip()][:LINES_EXAMINED_MAX]
    for index, line in enumerate(wanted):
        parsed = parse_line(line)
        suspected = suspicion(line, parsed) if index == 0 else None
        if suspected is not None:
            if b"\0" in line:
                yield "binary data"
                return
            found = suspected.complaint.found
            yield found.removeprefix("the file is ").removeprefix("the file ").partition(", not ")[0]
            return
        if isinstance(parsed.value, dict):
            yield parsed.value
        elif parsed.is_json:
            yield "lines that are not objects"
            return


def _meant(value: Mapping[str, Any], purposes: Iterable[Purpose], *, by_kind: bool = True) -> list[str]:
    """Return the purposes that a line may be for: those whose fields it has, without those that another one covers."""
    fits = [one for one in purposes if one.schema.required_names and _has_fields(value, one, by_kind=by_kind)]
    return [one.name for one in fits if not any(_covers(other, one) for other in fits if other is not one)]


def _has_fields(value: Mapping[str, Any], purpose: Purpose, *, by_kind: bool) -> bool:
    return all(
        field.name in value and (not by_kind or _is_of_kind(value[field.name], field.kind))
        for field in purpose.schema.fields
        if field.required
    )


def _is_of_kind(value: object, kind: Kind) -> bool:
    if kind is Kind.MESSAGES:
        return isinstance(value, list) and all(isinstance(one, dict) for one in value)
    return kind is not Kind.STRING or isinstance(value, str)


def _covers(other: Purpose, one: Purpose) -> bool:
    """Whether a line that fits both is rather for `other`."""
    theirs, ours = set(other.schema.required_names), set(one.schema.required_names)
    return theirs > ours or (theirs == ours and bool(one.documents) and not other.documents)


def _unknown(value: Mapping[str, Any], purposes: Iterable[Purpose]) -> Likeness:
    found = [(one, foreign_schema(value, one.schema)) for one in purposes]
    foreign = [(one, complaint) for one, complaint in found if complaint is not None]
    if not foreign:
        return Likeness(reason=f"lines with {_listed(tuple(value))}")
    shape = foreign[0][1].found.removeprefix("the lines are ").partition(", not ")[0]
    # What one purpose has no place for may be data of another.
    targets = [one for one, complaint in foreign if complaint.convert is not None]
    meant = tuple(
        one.name for one in targets if not any(_covers(other, one) for other in targets if other is not one)
    )
    return Likeness(reason=f"{shape}, to be converted" if meant else f"{shape}{NOT_TAKEN}", convert_to=meant)


def _begun_like(found: Mapping[str, None]) -> Likeness | None:
    """Return what the lines before one that no purpose takes are for, None where there are none."""
    if not found:
        return None
    name = next(iter(found))
    return Likeness(purpose=name, reason=f"like {name}, but not on each of its first lines")


def _in_array(head: FileHead, purposes: Collection[Purpose]) -> Likeness | None:
    """Return what the records of a JSON array are to be converted for, None where they are no known training data."""
    text = head.content.removeprefix(BOM).lstrip()
    if not text.startswith(b"["):
        return None
    try:
        value, _ = _DECODER.raw_decode(text[1:].decode("utf-8", "ignore").lstrip())
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    described = [one for one in purposes if one.schema.fields]
    names = _meant(value, described)
    if names:
        return Likeness(reason="a JSON array, to be converted to lines", convert_to=tuple(names))
    like = _unknown(value, described)
    return (
        Likeness(reason=f"a JSON array of {like.reason}", convert_to=like.convert_to)
        if like.convert_to
        else None
    )


def _in_table(suffix: str, head: FileHead, purposes: Collection[Purpose]) -> Likeness | None:
    """Return what the rows of a table are to be converted for, None where its columns are of no known training data."""
    if suffix not in _TABLES:
        return None
    text = head.content.removeprefix(BOM).decode("utf-8", "replace")
    delimiter = delimiter_of(text.partition("\n")[0].encode())
    if delimiter is None:
        return None
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        columns, values = next(rows), next(rows)
    except (StopIteration, csv.Error):
        return None
    if len(columns) < _COLUMNS_MIN or len(columns) != len(values):
        # A single word, or commas, may be those of a text.
        return None
    row = dict(zip(columns, values, strict=True))
    like = _unknown(row, [one for one in purposes if one.schema.fields])
    if not like.convert_to:
        return None
    return Likeness(reason=f"{suffix[1:].upper()} of {like.reason}", convert_to=like.convert_to)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_KEYS_SHOWN]) or "no fields"
    return f"{shown}, …" if len(names) > _KEYS_SHOWN else shown


def _several(names: Iterable[str]) -> str:
    return f"may be for {' or '.join(names)}"
