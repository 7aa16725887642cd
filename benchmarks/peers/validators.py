"""Ways to validate a file of training data, each with the checks that are named with it. All read the file once."""

from __future__ import annotations

import json
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from bulk_upload.core.purposes import PURPOSES, Kind, Purpose
from bulk_upload.core.validation.checker import Checker
from bulk_upload.core.validation.examples.file_values import LINES_COMPARED_MAX
from measuring.absent import Absent

if TYPE_CHECKING:
    from collections.abc import Callable

READ_BYTES = 256 * 1024


def ours(path: str, purpose: Purpose, *, thorough: bool = False) -> int:
    """Our validator, all rules."""
    checker = Checker(purpose, where=path, thorough=thorough)
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(READ_BYTES):
            checker.feed(piece)
    checker.finish()
    report = checker.report()
    if not report.is_valid:
        raise SystemExit(f"the data is meant to be good: {report.findings[0]}")
    return report.line_count


def thorough(path: str, purpose: Purpose) -> int:
    """Our validator with --thorough: every line the exact way."""
    return ours(path, purpose, thorough=True)


def bare(path: str, purpose: Purpose, *, read_bytes: int = -1) -> int:
    """The bare parser: msgspec's typed decoding of each line, and nothing else, read as Python reads lines."""
    message = msgspec.defstruct("Message", [("role", Literal[purpose.schema.roles]), ("content", str)])
    kinds: dict[Kind, Any] = {Kind.MESSAGES: GenericAlias(list, message), Kind.STRING: str}
    fields = [(field.name, kinds[field.kind]) for field in purpose.schema.fields]
    decode = msgspec.json.Decoder(msgspec.defstruct("Line", fields)).decode
    count = 0
    with open(path, "rb", buffering=read_bytes) as file:
        for line in file:
            decode(line)
            count += 1
    return count


def bare_buffered(path: str, purpose: Purpose) -> int:
    """The bare parser, read in larger pieces than Python does by itself."""
    return bare(path, purpose, read_bytes=READ_BYTES)


def json_loads(path: str, purpose: Purpose) -> int:
    """json.loads and the same checks by hand: keys, types, roles, empty texts, turns, last role, equal lines."""
    roles = frozenset(purpose.schema.roles)
    seen: dict[int, int] = {}
    count = 0
    with open(path, "rb") as file:
        for line in file:
            count += 1
            value = json.loads(line)
            if not isinstance(value, dict):
                raise TypeError(count)
            for field in purpose.schema.fields:
                one = value[field.name]
                if field.kind is Kind.MESSAGES:
                    _check_messages(one, roles, field.ends_with, is_answer=field.is_answer)
                elif not isinstance(one, str) or not one:
                    raise TypeError(count)
            if count <= LINES_COMPARED_MAX and seen.setdefault(hash(line), count) != count:
                raise ValueError(count)
    return count


def _check_messages(messages: Any, roles: frozenset[str], ends_with: str | None, *, is_answer: bool) -> None:  # noqa: ANN401
    if not isinstance(messages, list) or not messages:
        raise TypeError("messages")
    before = None
    for index, message in enumerate(messages):
        role, content = message["role"], message["content"]
        if role not in roles or not isinstance(content, str) or not content:
            raise TypeError("message")
        odd = role == before or (role == "system" and index)
        if odd or (role == "assistant" and before in (None, "system") and not is_answer):
            raise ValueError("turns")
        before = role
    if ends_with is not None and before != ends_with:
        raise ValueError("last role")


def pydantic(path: str, purpose: Purpose) -> int:
    """Pydantic's model_validate_json of each line: keys, types and roles."""
    try:
        from pydantic import create_model  # noqa: PLC0415 - may be absent
    except ImportError:
        raise Absent("pydantic is not installed") from None
    message = create_model("Message", role=(Literal[purpose.schema.roles], ...), content=(str, ...))
    kinds: dict[Kind, Any] = {Kind.MESSAGES: GenericAlias(list, message), Kind.STRING: str}
    fields: dict[str, Any] = {field.name: (kinds[field.kind], ...) for field in purpose.schema.fields}
    validate = create_model("Line", **fields).model_validate_json
    count = 0
    with open(path, "rb") as file:
        for line in file:
            validate(line)
            count += 1
    return count


def seekrai(path: str, purpose: Purpose) -> int:  # noqa: ARG001 - it knows no purposes
    """`check_file` of the official SDK: UTF-8, JSON, and a field `text`, whatever the purpose; it is never called there."""
    try:
        from seekrai.utils.files import check_file  # noqa: PLC0415 - may be absent
    except ImportError:
        raise Absent("seekrai is not installed") from None
    return int(check_file(path).get("num_samples") or 0)


VALIDATORS: dict[str, Callable[[str, Purpose], int]] = {
    "ours": ours,
    "bare msgspec": bare,
    "bare msgspec, 256 KiB": bare_buffered,
    "json.loads + checks": json_loads,
    "seekrai check_file": seekrai,
    "pydantic": pydantic,
    "ours --thorough": thorough,
}


def purpose_of(name: str) -> Purpose:
    """Return a purpose of the table."""
    return PURPOSES[name]
