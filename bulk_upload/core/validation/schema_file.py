"""A user's own schemas: a small TOML or JSON file that adds purposes or changes built-in ones.

    [purposes.fine-tune]
    roles = ["system", "user", "assistant", "tool"]
    content_parts = true

    [purposes.classify]
    summary = "texts with a label"
    suffixes = [".jsonl"]
    fields = { text = "string", label = "string", note = "string?" }

    [purposes.requests]
    lines_max = 50_000
    fields.id = { type = "string", unique = true }
    fields.method = { type = "string", values = ["POST"] }
    fields.body = { type = "object", fields = { model = "string", messages = "messages" } }

Keys that are not set for a built-in purpose keep their values. A type with `?` may be absent.
docs/how-to/validation.md has the whole list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec.structs import replace

from bulk_upload.core.purposes import PURPOSES, Field, Kind, Purpose, Schema, unknown_to_us
from bulk_upload.core.text.text_bytes import BOM
from bulk_upload.core.text.wording import did_you_mean, quoted
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_Name = Annotated[str, msgspec.Meta(min_length=1)]
_Positive = Annotated[int, msgspec.Meta(ge=1)]


class _Field(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    values: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    fields: dict[_Name, str | _Field] | None = None
    unique: bool = False
    same: bool = False


class _Shape(msgspec.Struct, forbid_unknown_fields=True):
    fields: dict[_Name, str | _Field]
    ends_with: dict[_Name, _Name] | None = None
    closed: bool = False


class _Purpose(msgspec.Struct, forbid_unknown_fields=True):
    summary: str | None = None
    suffixes: list[Annotated[str, msgspec.Meta(pattern=r"^\.[^./]+$")]] | None = None
    fields: dict[_Name, str | _Field] | None = None
    ends_with: dict[_Name, _Name] | None = None
    roles: Annotated[list[_Name], msgspec.Meta(min_length=1)] | None = None
    content_parts: bool | None = None
    tool_calls: bool | None = None
    line_bytes_max: _Positive | None = None
    lines_max: _Positive | None = None
    file_bytes_max: _Positive | None = None
    one_of: Annotated[list[_Shape], msgspec.Meta(min_length=2)] | None = None


_SET_AS_THEY_ARE = ("content_parts", "tool_calls", "line_bytes_max", "lines_max", "file_bytes_max")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    purposes: dict[_Name, _Purpose]


def read_schemas(text: bytes, *, name: str, purposes: Mapping[str, Purpose] = PURPOSES) -> dict[str, Purpose]:
    """Return all purposes, including those of a schema file; `name` is the file's, `purposes` are the built-in ones.

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
    changed = dict(purposes)
    for purpose, change in read.purposes.items():
        changed[purpose] = _changed(changed.get(purpose) or unknown_to_us(purpose), change, name)
    return changed


def _changed(purpose: Purpose, change: _Purpose, file_name: str) -> Purpose:
    schema = purpose.schema
    if change.fields is not None:
        reader = _FieldReader(purpose.name, file_name)
        schema = replace(schema, fields=reader.fields(change.fields, schema.fields))
    if change.ends_with is not None:
        ends = change.ends_with
        schema = replace(
            schema, fields=tuple(replace(one, ends_with=ends.get(one.name)) for one in schema.fields)
        )
    if change.roles is not None:
        schema = replace(schema, roles=tuple(change.roles))
    set_here = {name: value for name in _SET_AS_THEY_ARE if (value := getattr(change, name)) is not None}
    schema = replace(schema, **set_here)
    if change.one_of is not None:
        schema = _one_of(change, schema, purpose.name, file_name)
    return replace(
        purpose,
        summary=purpose.summary if change.summary is None else change.summary,
        suffixes=purpose.suffixes if change.suffixes is None else tuple(change.suffixes),
        schema=schema,
    )


def _one_of(change: _Purpose, schema: Schema, purpose: str, file_name: str) -> Schema:
    """Return a schema whose lines follow one of several, which have its roles and limits."""
    if change.fields is not None or change.ends_with is not None:
        raise UsageError(
            f"the schema file {quoted(file_name)} gives {purpose} both fields and one_of",
            hint="fields and ends_with belong to each entry of one_of",
        )
    reader = _FieldReader(purpose, file_name)
    alternatives = []
    for shape in change.one_of or ():
        ends = shape.ends_with or {}
        fields = (replace(one, ends_with=ends.get(one.name)) for one in reader.fields(shape.fields))
        alternatives.append(replace(schema, fields=tuple(fields), alternatives=(), is_closed=shape.closed))
    return replace(schema, fields=(), alternatives=tuple(alternatives))


class _FieldReader:
    """Makes the fields of one purpose of what the file says of them."""

    def __init__(self, purpose: str, file_name: str) -> None:
        self._purpose = purpose
        self._file_name = file_name

    def fields(
        self, described: Mapping[str, str | _Field], known: tuple[Field, ...] = ()
    ) -> tuple[Field, ...]:
        """Return the fields; those of `known` with the same name and kind keep what is not described."""
        by_name = {one.name: one for one in known}
        return tuple(self._field(name, one, by_name.get(name)) for name, one in described.items())

    def _field(self, name: str, described: str | _Field, known: Field | None) -> Field:
        if isinstance(described, str):
            kind = self._kind(name, described)
            if known is not None and known.kind is kind:
                return replace(known, required=not described.endswith("?"))
            return Field(name=name, kind=kind, required=not described.endswith("?"))
        kind = self._kind(name, described.type)
        if described.values is not None and kind is not Kind.STRING:
            raise self._unusable(name, "has values", "only a string has values")
        if described.fields is not None and kind is not Kind.OBJECT:
            raise self._unusable(name, "has fields", "only an object has fields")
        if (described.unique or described.same) and kind in (
            Kind.MESSAGES,
            Kind.ARRAY,
            Kind.OBJECT,
            Kind.ANY,
        ):
            raise self._unusable(
                name, "is compared from line to line", "strings, numbers and booleans can be"
            )
        return Field(
            name=name,
            kind=kind,
            required=not described.type.endswith("?"),
            values=tuple(described.values or ()),
            fields=() if described.fields is None else self.fields(described.fields),
            unique=described.unique,
            same=described.same,
        )

    def _kind(self, name: str, described: str) -> Kind:
        word = described.removesuffix("?")
        kinds: Mapping[str, Kind] = {one.value: one for one in Kind}
        if word not in kinds:
            hint = f"{did_you_mean(word, tuple(kinds))}Types are {', '.join(kinds)}; with ? the field may be absent"
            raise self._unusable(name, f"has the type {quoted(described)}", hint)
        return kinds[word]

    def _unusable(self, name: str, what: str, hint: str) -> UsageError:
        return UsageError(
            f"the schema file {quoted(self._file_name)} says that the field {quoted(name)} of {self._purpose} {what}",
            hint=hint,
        )
