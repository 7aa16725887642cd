"""Whether the rows of a table can be converted, by the names of its columns."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from bulk_upload.core.purposes import suffix_of
from bulk_upload.core.shapes.json_values import NOT_JSON, encode_text, object_of
from bulk_upload.core.shapes.names import PAIR_KEYS
from bulk_upload.core.shapes.prompts import CONVERSATION_KEYS, HISTORY_KEYS
from bulk_upload.core.shapes.record import mapped
from bulk_upload.core.shapes.target import CannotConvert, target_of

if TYPE_CHECKING:
    from bulk_upload.core.purposes import Schema

_SUFFIXES = (".csv", ".tsv")
_TEXT = encode_text("text")
_MESSAGES = b'[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]'
_MESSAGES_KEYS = {*CONVERSATION_KEYS, *(name for pair in PAIR_KEYS for name in pair)}


def is_table(name: str) -> bool:
    """Whether a file's name says that it is a table."""
    return suffix_of(name) in _SUFFIXES


def rows_can_be_converted(header: str, delimiter: str, schema: Schema) -> bool:
    """Whether rows below such a header have what the purpose needs, as texts or as JSON in a cell."""
    target = target_of(schema)
    try:
        columns = next(csv.reader([header], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        return False
    if target is None or len(set(columns)) < len(columns):
        return False
    texts = dict.fromkeys(columns, _TEXT)
    in_cells = {name: _MESSAGES if name in _MESSAGES_KEYS else _TEXT for name in columns}
    in_cells |= {name: b"[]" for name in HISTORY_KEYS if name in texts}
    for record in (texts, in_cells):
        try:
            if mapped(object_of(record), target) is not None:
                return True
        except (CannotConvert, *NOT_JSON):
            continue
    return False
