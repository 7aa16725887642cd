"""Finds the rows of a table that may be wrong, a column at a time; the rules for lines judge those rows alone.

A row that is not among the suspects has no findings; a test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from bulk_upload.core.purposes import Kind
from bulk_upload.core.validation.examples.answers import (
    ASSISTANT,
    PROMPT_ROLES,
    answer_fields,
    question_field,
)
from bulk_upload.core.validation.line_schema import MESSAGE_KEYS, order_complaints, system_keys

if TYPE_CHECKING:
    from bulk_upload.core.purposes import Field, Schema

_BETWEEN = "\n"
_RIGHT_TYPES = {
    Kind.NUMBER: lambda kind: pa.types.is_integer(kind) or pa.types.is_floating(kind),
    Kind.BOOLEAN: pa.types.is_boolean,
    Kind.ARRAY: lambda kind: pa.types.is_list(kind) or pa.types.is_large_list(kind),
    Kind.OBJECT: pa.types.is_struct,
}


def suspects(batch: Any, schema: Schema) -> set[int]:  # noqa: ANN401 (pyarrow has no types)
    """Return the rows of a batch that the rules for lines must judge, counted from 0."""
    found: set[int] = set()
    every = set(range(batch.num_rows))
    columns = {
        field.name: batch.column(field.name) for field in schema.fields if field.name in batch.schema.names
    }
    asked = question_field(schema) if answer_fields(schema) else None
    for field in schema.fields:
        column = columns.get(field.name)
        if column is None or field.kind is Kind.ANY:
            continue
        if field.kind is Kind.MESSAGES:
            found |= (
                _messages(column, field, schema, is_asked=field is asked) if _are_messages(column) else every
            )
        elif field.kind is Kind.STRING:
            found |= _indices(_blank(column)) if _is_text(column.type) else every
        else:
            found |= _indices(pc.is_null(column)) if _RIGHT_TYPES[field.kind](column.type) else every
    pair = [
        columns[one.name]
        for one in answer_fields(schema)
        if one.kind is Kind.MESSAGES and one.name in columns
    ]
    for other in pair[1:]:
        found |= _pair(pair[0], other) if _are_messages(pair[0]) and _are_messages(other) else every
    for key in system_keys(schema):
        if key in batch.schema.names:
            found |= _indices(pc.is_valid(batch.column(key)))
    return found


def _messages(column: Any, field: Field, schema: Schema, *, is_asked: bool) -> set[int]:  # noqa: ANN401
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    found = _indices(pc.equal(lengths, 0))
    flat, parents = column.flatten(), pc.list_parent_indices(column)
    roles = pc.struct_field(flat, "role")
    known = pa.array(schema.roles, roles.type)
    wrong = pc.or_(pc.invert(pc.is_in(roles, value_set=known)), _blank(pc.struct_field(flat, "content")))
    for key in MESSAGE_KEYS:
        if column.type.value_type.get_field_index(key) >= 0:
            wrong = pc.or_(wrong, pc.is_valid(pc.struct_field(flat, key)))
    found |= set(pc.unique(parents.filter(wrong)).to_pylist())
    orders = _joined(pc.fill_null(roles, ""), lengths).dictionary_encode()
    unusual = [
        code
        for code, order in enumerate(orders.dictionary.to_pylist())
        if order_complaints(order.split(_BETWEEN), field)
        or (is_asked and order.split(_BETWEEN)[-1] == ASSISTANT)
    ]
    if unusual:
        found |= _indices(pc.is_in(orders.indices, value_set=pa.array(unusual, orders.indices.type)))
    return found


def _pair(first: Any, second: Any) -> set[int]:  # noqa: ANN401
    """Return the rows whose two answers are the same, or whose prompts may differ."""
    same = pc.and_(
        pc.equal(_told(first), _told(second)), pc.equal(_told(first, "role"), _told(second, "role"))
    )
    prompts = pc.equal(_told(first, only_prompts=True), _told(second, only_prompts=True))
    return _indices(pc.or_(same, pc.invert(prompts)))


def _told(column: Any, key: str = "content", *, only_prompts: bool = False) -> Any:  # noqa: ANN401
    """Return one text for the messages of each row."""
    flat = column.flatten()
    texts = pc.fill_null(pc.struct_field(flat, key), "")
    if only_prompts:
        roles = pc.struct_field(flat, "role")
        asks = pc.is_in(roles, value_set=pa.array(sorted(PROMPT_ROLES), roles.type))
        texts = pc.if_else(asks, texts, pa.scalar("", texts.type))
    joined = _joined(texts, pc.fill_null(pc.list_value_length(column), 0))
    return pc.utf8_trim(joined, _BETWEEN) if only_prompts else joined


def _joined(texts: Any, lengths: Any) -> Any:  # noqa: ANN401
    ends = pc.cumulative_sum(pc.cast(lengths, pa.int64()))
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), ends])
    return pc.binary_join(pa.LargeListArray.from_arrays(offsets, texts), pa.scalar(_BETWEEN, texts.type))


def _blank(texts: Any) -> Any:  # noqa: ANN401
    empty = pc.or_(pc.equal(pc.binary_length(texts), 0), pc.utf8_is_space(texts))
    return pc.fill_null(empty, True)


def _indices(mask: Any) -> set[int]:  # noqa: ANN401
    return set(pc.indices_nonzero(mask).to_pylist())


def _are_messages(column: Any) -> bool:  # noqa: ANN401
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not pa.types.is_struct(
        kind.value_type
    ):
        return False
    struct = kind.value_type
    places = [struct.get_field_index(key) for key in ("role", "content")]
    return all(place >= 0 and _is_text(struct.field(place).type) for place in places)


def _is_text(kind: Any) -> bool:  # noqa: ANN401
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
