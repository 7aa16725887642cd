"""What is judged across the lines of a file: values that must differ or be the same, and limits of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bulk_upload.core.text.wording import quoted
from bulk_upload.core.validation.json_text import step
from bulk_upload.core.validation.rules import Complaint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bulk_upload.core.purposes import Field, Schema

LINES_COMPARED_MAX = 1_000_000
"""Lines beyond this many are not compared with others: about 100 MB of memory hold this many hashes."""

_COMPARED = str | int | float | bool | None | msgspec.UnsetType
_SHOWN_CHARACTERS = 60


def limit_complaints(schema: Schema, *, line_count: int, byte_count: int) -> Iterator[Complaint]:
    """Yield which limits of the server a whole file exceeds."""
    if schema.lines_max is not None and line_count > schema.lines_max:
        found = f"the file has {line_count:,} lines; at most {schema.lines_max:,} are taken"
        yield Complaint("too-many-lines", found)
    if schema.file_bytes_max is not None and byte_count > schema.file_bytes_max:
        found = f"the file has {byte_count:,} bytes; at most {schema.file_bytes_max:,} are taken"
        yield Complaint("too-many-bytes", found)


class FileValues:
    """The values of one file that are compared from line to line. Lines that cannot be read are passed over.

    Memory: a hash and a line number for each unique value, of the first `LINES_COMPARED_MAX` lines.
    """

    def __init__(self, schema: Schema) -> None:
        self._watched = tuple(_Watched(path) for path in _paths(schema.fields))
        self._decode = msgspec.json.Decoder(_row(schema.fields)).decode if self._watched else None

    def take(self, lines: Sequence[bytes], first_no: int) -> list[tuple[int, list[Complaint]]]:
        """Take the next lines; return those whose values are not as they must be, by index."""
        if self._decode is None or first_no > LINES_COMPARED_MAX:
            return []
        return list(self._found(self._decode, lines, first_no))

    def _found(
        self, decode: Callable[[bytes], Any], lines: Sequence[bytes], first_no: int
    ) -> Iterator[tuple[int, list[Complaint]]]:
        for index, line in enumerate(lines[: LINES_COMPARED_MAX - first_no + 1]):
            try:
                row = decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            complaints = [
                found for one in self._watched if (found := one.complaint(row, first_no + index)) is not None
            ]
            if complaints:
                yield index, complaints


class _Watched:
    """One value, by where it is."""

    def __init__(self, path: tuple[Field, ...]) -> None:
        self._place = "$" + "".join(step(one.name) for one in path)
        self._field = path[-1]
        self._names = tuple(f"field_{one.name.encode().hex()}" for one in path)
        self._first_seen: dict[int | tuple[str], int] = {}
        self._first: tuple[object, int] | None = None

    def complaint(self, row: object, line_no: int) -> Complaint | None:
        """Return what is wrong with the value on one line."""
        for name in self._names:
            row = getattr(row, name, msgspec.UNSET)
        if row is msgspec.UNSET or row is None:
            return None
        if self._field.unique:
            earlier = self._first_seen.setdefault(_key(row), line_no)
            if earlier != line_no:
                found = f"{_shown(row)} stands on line {earlier:,} already"
                return Complaint("repeated-value", found, self._place)
        if self._field.same:
            if self._first is None:
                self._first = (row, line_no)
            elif _key(row) != _key(self._first[0]):
                found = f"this is {_shown(row)}, line {self._first[1]:,} has {_shown(self._first[0])}"
                return Complaint("differing-value", found, self._place)
        return None


def _key(value: object) -> int | tuple[str]:
    # Python has 1 == True, hash(-1) == hash(-2) and hash("") == hash(0).
    return hash(value) if isinstance(value, str) else (repr(value),)


def _shown(value: object) -> str:
    return quoted(value[:_SHOWN_CHARACTERS]) if isinstance(value, str) else str(value)


def _paths(fields: Sequence[Field], above: tuple[Field, ...] = ()) -> Iterator[tuple[Field, ...]]:
    for field in fields:
        if field.unique or field.same:
            yield (*above, field)
        yield from _paths(field.fields, (*above, field))


def _row(fields: Sequence[Field]) -> type[msgspec.Struct]:
    """Return a type with the watched values only: decoding skips the rest of a line."""
    members: list[tuple[str, Any, Any]] = []
    names: dict[str, str] = {}
    for field in fields:
        attribute = f"field_{field.name.encode().hex()}"
        if field.unique or field.same:
            members.append((attribute, _COMPARED, msgspec.UNSET))
        elif any(_paths(field.fields)):
            members.append((attribute, _row(field.fields), msgspec.UNSET))
        else:
            continue
        names[attribute] = field.name
    return msgspec.defstruct("Row", members, rename=names, gc=False)
