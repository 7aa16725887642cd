"""A user's own schemas: a small TOML or JSON file that adds purposes or changes built-in ones.

    [purposes.fine-tune]
    roles = ["system", "user", "assistant", "tool"]
    content_parts = true

    [purposes.classify]
    summary = "texts with a label"
    suffixes = [".jsonl"]
    fields = { text = "string", label = "string", note = "string?" }

Keys that are not set for a built-in purpose keep their values. A type with `?` may be absent.
docs/how-to/validation.md has the whole list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec.structs import replace

from bulk_upload.core.purposes import PURPOSES, Field, Kind, Purpose, unknown_to_us
from bulk_upload.core.text.text_bytes import BOM
from bulk_upload.core.text.wording import did_you_mean, quoted
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_Name = Annotated[str, msgspec.Meta(min_length=1)]


class _Purpose(msgspec.Struct, forbid_unknown_fields=True):
    summary: str | None = None
    suffixes: list[Annotated[str, msgspec.Meta(pattern=r"^\.[^./]+$")]] | None = None
    fields: dict[_Name, str] | None = None
    ends_with: dict[_Name, _Name] | None = None
    roles: Annotated[list[_Name], msgspec.Meta(min_length=1)] | None = None
    content_parts: bool | None = None
    tool_calls: bool | None = None
    line_bytes_max: Annotated[int, msgspec.Meta(ge=1)] | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    purposes: dict[_Name, _Purpose]


def read_schemas(text: bytes, *, name: str) -> dict[str, Purpose]:
    """Return all purposes, including those of a schema file; `name` is the file's.

    Raises UsageError when the file is invalid.
    """
    # Editors on Windows put the mark there.
    text = text.removeprefix(BOM)
    try:
        read = (
            msgspec.json.decode(text, type=_File)
            if text.lstrip()[:1] == b"{"
            else msgspec.toml.decode(text, type=_File)
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"the schema file {quoted(name)} cannot be used: {error}",
            hint="docs/how-to/validation.md shows what such a file looks like",
        ) from None
    purposes = dict(PURPOSES)
    for purpose, change in read.purposes.items():
        purposes[purpose] = _changed(purposes.get(purpose) or unknown_to_us(purpose), change, name)
    return purposes


def _changed(purpose: Purpose, change: _Purpose, file_name: str) -> Purpose:
    schema = purpose.schema
    if change.fields is not None:
        fields = (_field(field, kind, purpose, file_name) for field, kind in change.fields.items())
        schema = replace(schema, fields=tuple(fields))
    if change.ends_with is not None:
        ends = change.ends_with
        schema = replace(
            schema, fields=tuple(replace(one, ends_with=ends.get(one.name)) for one in schema.fields)
        )
    if change.roles is not None:
        schema = replace(schema, roles=tuple(change.roles))
    if change.content_parts is not None:
        schema = replace(schema, content_parts=change.content_parts)
    if change.tool_calls is not None:
        schema = replace(schema, tool_calls=change.tool_calls)
    if change.line_bytes_max is not None:
        schema = replace(schema, line_bytes_max=change.line_bytes_max)
    return replace(
        purpose,
        summary=purpose.summary if change.summary is None else change.summary,
        suffixes=purpose.suffixes if change.suffixes is None else tuple(change.suffixes),
        schema=schema,
    )


def _field(name: str, kind: str, purpose: Purpose, file_name: str) -> Field:
    word = kind.removesuffix("?")
    kinds: Mapping[str, Kind] = {one.value: one for one in Kind}
    if word not in kinds:
        raise UsageError(
            f"the schema file {quoted(file_name)} gives the field {quoted(name)} of {purpose.name} the type {quoted(kind)}",
            hint=f"{did_you_mean(word, tuple(kinds))}Types are {', '.join(kinds)}; with ? the field may be absent",
        )
    known = next((one for one in purpose.schema.fields if one.name == name), None)
    required = word == kind
    if known is not None and known.kind is kinds[word]:
        return replace(known, required=required)
    return Field(name=name, kind=kinds[word], required=required)
