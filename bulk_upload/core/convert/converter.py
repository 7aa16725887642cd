"""Converts records to lines of a purpose: what is good stays as it is, what cannot be converted is left with its reason."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bulk_upload.core.purposes import PURPOSES
from bulk_upload.core.shapes.json_values import NOT_JSON, is_object, on_one_line, record_of
from bulk_upload.core.shapes.names import SYSTEM_KEYS
from bulk_upload.core.shapes.record import mapped
from bulk_upload.core.shapes.repairs import repaired
from bulk_upload.core.shapes.target import CannotConvert, Layout, target_of
from bulk_upload.core.shapes.templates.known import Templates
from bulk_upload.core.validation.examples.alternatives import line_judge
from bulk_upload.core.validation.fast_decoder import NOT_PASSED, reader_of
from bulk_upload.core.validation.rules import is_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.shapes.json_values import Json
    from bulk_upload.core.shapes.target import Mapped


# Legal in JSON strings, but many readers take them for the end of a line.
_ESCAPES = {b"\xe2\x80\xa8": b"\\u2028", b"\xe2\x80\xa9": b"\\u2029", b"\xc2\x85": b"\\u0085"}
_CUTTING = re.compile(b"|".join(_ESCAPES))
_SHORTER_MAX = 4
"""Without its line ends and its repetitions no record becomes shorter than this part of it."""

_SEPARATORS = "line separators in texts, now escapes"


# Such a key is rare, and the role of a message is not one.
_SYSTEM_KEY = re.compile(rb'"(?:' + "|".join(SYSTEM_KEYS).encode() + rb')"\s*:')


def _has_system_key(text: bytes) -> bool:
    return (b'"sys' in text or b'"preamble' in text) and _SYSTEM_KEY.search(text) is not None


class Left(NamedTuple):
    """A record that was not converted: its number, counted from 1, its text, and why."""

    record_no: int
    text: bytes
    reason: str


class Written(NamedTuple):
    """What became of some records: lines to write, with their ends, and records that were left."""

    lines: list[bytes]
    left: list[Left]


class Tally(msgspec.Struct, kw_only=True):
    """What was done to the records of a file.

    `converted` counts records by their shape, `repaired` by what was mended, `lost` and `empty` the values that were
    left out, by their place; `blank` lines are left out too.
    """

    record_count: int = 0
    kept: int = 0
    left: int = 0
    blank: int = 0
    converted: Counter[str] = msgspec.field(default_factory=Counter)
    repaired: Counter[str] = msgspec.field(default_factory=Counter)
    lost: Counter[str] = msgspec.field(default_factory=Counter)
    empty: Counter[str] = msgspec.field(default_factory=Counter)


class _Refused(Exception):
    """A record that is left; the message says why."""


class Converter:
    """Converts the records of one file.

    Args:
        purpose: what they are converted to; one without a schema takes every object as it is.
        fix: mend lines whose bytes a writer spoiled.
        lossy: also convert records of which the purpose has no place for something, whatever it is.
        drop: the places of values that may be lost, such as `messages[].content[].image_url`.
        known: the purposes that records may look like.
    """

    def __init__(
        self,
        purpose: Purpose,
        *,
        fix: bool = False,
        lossy: bool = False,
        drop: Iterable[str] = (),
        known: Iterable[Purpose] = tuple(PURPOSES.values()),
    ) -> None:
        self.tally = Tally()
        self._target = target_of(purpose.schema)
        self._fix = fix
        self._lossy = lossy
        self._drop = frozenset(drop)
        self._judge = line_judge(purpose, known=known)
        self._line_bytes_max = purpose.schema.line_bytes_max
        self._reader = reader_of(purpose.schema)
        self._converts = False
        # A pair may be valid and still hold its answer twice.
        self._templates = None if self._target is None else Templates(self._target)
        self._passes_first = self._target is not None and self._target.layout is not Layout.PREFERENCE

    def convert(self, records: Sequence[bytes]) -> Written:
        """Convert the next records, each the text of one."""
        lines: list[bytes] = []
        left: list[Left] = []
        tally = self.tally
        for record in records:
            tally.record_count += 1
            text = record.strip()
            if self._passes_first and not self._converts and self._passes(text) and not _has_system_key(text):
                tally.kept += 1
                lines.append(self._ended(text))
                continue
            if not text:
                tally.blank += 1
                continue
            line = self._by_template(text)
            if line is not None:
                lines.append(self._ended(line))
                continue
            try:
                made = self._lines(text)
            except _Refused as refused:
                left.append(Left(tally.record_count, text, str(refused)))
                tally.left += 1
            else:
                lines += map(self._ended, made)
        return Written(lines, left)

    def leave(self, text: bytes, reason: str) -> Left:
        """Count a part of the file that is no record."""
        self.tally.record_count += 1
        self.tally.left += 1
        return Left(self.tally.record_count, text, reason)

    def _ended(self, text: Json) -> bytes:
        """Return a value as a line."""
        if b"\n" in text or b"\r" in text:
            text = on_one_line(text)
        if self._fix and not text.isascii() and _CUTTING.search(text):
            self.tally.repaired[_SEPARATORS] += 1
            text = _CUTTING.sub(lambda found: _ESCAPES[found[0]], text)
        return text + b"\n"

    def _by_template(self, text: bytes) -> Json | None:
        """Return the line that a record becomes as others of its file do, None where it takes the exact path."""
        if self._templates is None or not is_object(text):
            return None
        found = self._templates.line(text)
        if found is None:
            return None
        line, template = found
        if not (self._passes_bare(line) if template.is_bare else self._passes(line)):
            return None
        self._converts = not template.is_same
        if template.is_same:
            self.tally.kept += 1
        else:
            self.tally.converted[template.shape] += 1
        for name in template.empty:
            self.tally.empty[name] += 1
        return line

    def _lines(self, text: bytes) -> list[Json]:
        self._require_fitting(text)
        mended = None if is_object(text) else self._mended(text)
        if mended is not None:
            return mended
        try:
            return [self._line(text)]
        except NOT_JSON:
            mended = self._mended(text) if is_object(text) else None
            if mended is None:
                raise _Refused(self._error(text) or "it is not JSON") from None
            return mended

    def _require_fitting(self, text: bytes) -> None:
        """Refuse a record that is far too long to become a line, before several copies of it are made."""
        if len(text) > self._line_bytes_max * _SHORTER_MAX and not (self._lossy or self._drop):
            raise _Refused(
                f"the record has {len(text):,} bytes, and the limit of a line is {self._line_bytes_max:,}"
            )

    def _mended(self, text: bytes) -> list[Json] | None:
        repair = repaired(text)
        if repair is None:
            return None
        if not self._fix:
            raise _Refused(f"{' and '.join(repair.damage)}; --fix mends it")
        made = [self._line(one) for one in repair.values]
        self.tally.repaired.update(map(str, repair.damage))
        return made

    def _line(self, text: Json) -> Json:
        """Return one record as a line. Raises `NOT_JSON`, _Refused."""
        made = self._mapped(text)
        value = text if made is None else made.value
        if made is not None and made.lost and not self._lossy and (lost := set(made.lost) - self._drop):
            raise _Refused(
                f"the purpose has no place for {', '.join(sorted(lost))}; --drop PLACE leaves it out"
            )
        # A record that was read is UTF-8 throughout.
        if not self._passes(value, is_utf8=made is not None) and (error := self._error(value)) is not None:
            raise _Refused(error)
        self._count(made)
        return value

    def _mapped(self, text: Json) -> Mapped | None:
        if self._target is None:
            if is_object(text):
                # What is no JSON may still be mended.
                record_of(text)
            return None
        try:
            return mapped(text, self._target)
        except CannotConvert as error:
            raise _Refused(f"it {error}") from None

    def _count(self, made: Mapped | None) -> None:
        # Records of a file are mostly alike.
        self._converts = made is not None and not made.is_same
        if made is None or made.is_same:
            self.tally.kept += 1
            return
        self.tally.converted[made.shape] += 1
        if made.lost:
            self.tally.lost.update(made.lost)
        for name in made.empty:
            self.tally.empty[name] += 1

    def _passes(self, text: Json, *, is_utf8: bool = False) -> bool:
        if len(text) > self._line_bytes_max:
            return False
        try:
            found = self._reader.judge(self._reader.lenient(text))
            if not (is_utf8 or text.isascii()):
                text.decode("utf-8")
        except NOT_PASSED:
            return False
        return found is not None and not any(map(is_error, found))

    def _passes_bare(self, text: Json) -> bool:
        """Whether a line passes that has nothing but what its schema asks for."""
        if len(text) > self._line_bytes_max:
            return False
        try:
            found = self._reader.judge_strict(self._reader.strict(text))
        except NOT_PASSED:
            return False
        return found is not None and not any(map(is_error, found))

    def _error(self, text: Json) -> str | None:
        """Return what validation would find wrong with a line, None where nothing keeps it from being sent."""
        if len(text) > self._line_bytes_max:
            return f"the line would have {len(text):,} bytes, and the limit is {self._line_bytes_max:,}"
        complaints = [one for one in self._judge.examine(text) if is_error(one)]
        if not complaints:
            return None
        first = complaints[0]
        return f"{f'{first.place}: ' if first.place else ''}{first.found} ({first.rule})"
