"""The table of purposes: what the server uses a file for, and what such a file holds.

Schemas are those of docs.seekr.com/flow/reference/file_upload_v1_flow_files_put and the fine-tuning pages beneath
docs.seekr.com/flow/sdk. A newer schema is a few lines here, or in a file of the user's own
(`core/validation/schema_file.py`).
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.text.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(StrEnum):
    """What the value of a field is. `messages` is an array of `{role, content}`."""

    MESSAGES = "messages"
    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ARRAY = "array"
    OBJECT = "object"
    ANY = "any"


class Format(StrEnum):
    """What a file is made of."""

    JSON_LINES = "jsonl"
    PARQUET = "parquet"
    TORCH = "pt"
    DOCUMENT = "document"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a line.

    `ends_with` is the role of the last message, where the field is `messages` and it matters; `is_answer` says that
    the field answers another one, so that its messages may begin with that role too. `values` are all values that a
    string may have, `fields` those of an object. A `unique` value differs from line to line; one that is the `same`
    does not.
    """

    name: str
    kind: Kind
    required: bool = True
    ends_with: str | None = None
    is_answer: bool = False
    values: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    unique: bool = False
    same: bool = False


ROLES = ("system", "user", "assistant")
"""The roles of messages that the API's reference names."""

LINE_BYTES_MAX = 32 * 1024 * 1024
"""Longer lines are not checked: some eight million tokens, far more than a model accepts as one example."""


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """What every line of a JSON Lines file holds. Fields it does not name are allowed, whatever they are.

    Args:
        content_parts: `content` may also be a list of parts, `[{"type": "text", "text": "..."}]`. The reference shows
            strings only, so a list counts as a mistake unless the user says that the server accepts it.
        tool_calls: `content` may be null or absent in a message that has `tool_calls`.
        lines_max: how many lines the server takes in a file; None where no limit is known.
        file_bytes_max: the same for bytes.
        alternatives: schemas of which each line follows one, in order of preference; `fields` is empty then.
        is_closed: as one of several, it is for lines without any other field.
    """

    fields: tuple[Field, ...]
    roles: tuple[str, ...] = ROLES
    content_parts: bool = False
    tool_calls: bool = False
    line_bytes_max: int = LINE_BYTES_MAX
    lines_max: int | None = None
    file_bytes_max: int | None = None
    alternatives: tuple[Schema, ...] = ()
    is_closed: bool = False
    required_names: tuple[str, ...] = ()
    """The names that every line must have: computed once, since each file uses those of every purpose."""

    def __post_init__(self) -> None:
        names = tuple(field.name for field in self.fields if field.required)
        msgspec.structs.force_setattr(self, "required_names", names)

    @property
    def is_known(self) -> bool:
        """Whether it says anything of a line."""
        return bool(self.fields or self.alternatives)


class Purpose(msgspec.Struct, frozen=True, kw_only=True):
    """One purpose: its name, what such a file holds in one line, the usual file name suffixes, the schema of a line.

    `documents` are the suffixes of files that are accepted as documents, line by line or not.
    """

    name: str
    summary: str
    suffixes: tuple[str, ...]
    schema: Schema
    documents: tuple[str, ...] = ()

    def format_of(self, path: str) -> Format:
        """Return the type of a file of this purpose by its name, JSON Lines where the name does not show it."""
        suffix = suffix_of(path)
        if suffix in _BY_SUFFIX:
            return _BY_SUFFIX[suffix]
        return Format.DOCUMENT if self.documents and suffix not in _LINES else Format.JSON_LINES

    def expects(self, path: str) -> bool:
        """Whether files with such a name are usual for this purpose."""
        return suffix_of(path) in (*self.suffixes, *self.documents)


_LINES = (".jsonl", ".ndjson")
_BY_SUFFIX = {".parquet": Format.PARQUET, ".pt": Format.TORCH, ".pth": Format.TORCH}

# The documents an alignment job may start from: docs.seekr.com/flow/sdk/data-engine/file-ingestion, and the file types
# of the official SDK.
_DOCUMENTS = (
    ".md", ".pdf", ".docx", ".doc", ".pptx", ".ppt", ".html", ".rst", ".rtf", ".txt", ".json", ".xml", ".csv",
)  # fmt: skip
_CONVERSATION = Field(name="messages", kind=Kind.MESSAGES, ends_with="assistant")

PURPOSES = {
    purpose.name: purpose
    for purpose in (
        Purpose(
            name="fine-tune",
            summary="conversations to learn from: `messages` on every line",
            suffixes=(".jsonl", ".parquet"),
            schema=Schema(fields=(_CONVERSATION,)),
        ),
        Purpose(
            name="preference-fine-tune",
            summary="conversations with a chosen and a rejected answer: `messages`, `chosen`, `rejected`",
            suffixes=(".jsonl",),
            schema=Schema(
                fields=(
                    Field(name="messages", kind=Kind.MESSAGES),
                    Field(name="chosen", kind=Kind.MESSAGES, ends_with="assistant", is_answer=True),
                    Field(name="rejected", kind=Kind.MESSAGES, ends_with="assistant", is_answer=True),
                )
            ),
        ),
        Purpose(
            name="reinforcement-fine-tune",
            summary="questions with the answer to compare with: `messages`, `reference_answer`",
            suffixes=(".jsonl",),
            schema=Schema(
                fields=(
                    Field(name="messages", kind=Kind.MESSAGES),
                    Field(name="reference_answer", kind=Kind.STRING, is_answer=True),
                )
            ),
        ),
        Purpose(
            name="pre-train",
            summary="raw text: `text` on every line",
            suffixes=(".jsonl",),
            schema=Schema(fields=(Field(name="text", kind=Kind.STRING),)),
        ),
        Purpose(
            name="alignment",
            summary="conversations as for fine-tune, or documents to make them from",
            suffixes=(".jsonl",),
            schema=Schema(fields=(_CONVERSATION,)),
            documents=_DOCUMENTS,
        ),
    )
}

RULES_VERSION = 3
"""Raised whenever a rule of validation changes what it finds: results of other rules are not used again."""


def rules_of(purpose: Purpose) -> str:
    """Return an identifier of the rules for a purpose: results under equal rules remain valid."""
    schema = hashlib.blake2b(repr(purpose).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{RULES_VERSION}-{schema}"


def unknown_to_us(name: str) -> Purpose:
    """Return the rules for an unknown purpose: lines must be JSON objects."""
    return Purpose(name=name, summary="no schema is known", suffixes=(), schema=Schema(fields=()))


def shapes_of(purpose: Purpose) -> tuple[Purpose, ...]:
    """Return a purpose once for each shape that its lines may have."""
    return tuple(
        msgspec.structs.replace(purpose, schema=one)
        for one in purpose.schema.alternatives or (purpose.schema,)
    )


def known_purposes(names: tuple[str, ...], described: Mapping[str, Purpose]) -> tuple[str, ...]:
    """Return the purposes an entry may have: those of a profile, and those of the user's schemas."""
    return (*names, *(name for name in described if name not in names and name not in PURPOSES))


def suffix_of(path: str) -> str:
    """Return the suffix of a file name in lower case, with its dot; nothing where there is none."""
    name = path.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if dot and stem else ""


def purpose_remedy(name: str, known: tuple[str, ...] = tuple(PURPOSES)) -> str:
    """Return what to do about a purpose name that is not in `known`."""
    return f"{did_you_mean(name, known)}Known purposes: {', '.join(known)}"


def unknown_purpose(name: str) -> str:
    """Return what is wrong with a purpose name that is not known."""
    return f"{quoted(name)} is not a known purpose"
