"""Good lines of every purpose, made from the table so that no test has to know purposes by name."""

from __future__ import annotations

import json
from typing import Any

from bulk_upload.core.finding import Finding
from bulk_upload.core.purposes import PURPOSES, Field, Kind, Purpose
from bulk_upload.core.validation.checker import Checker
from bulk_upload.core.validation.report import FileReport

CHAT, PREFERENCE, REINFORCEMENT, PRETRAIN, ALIGNMENT = PURPOSES.values()

USER = {"role": "user", "content": "Is it raining?"}
ASSISTANT = {"role": "assistant", "content": "No, the sun shines."}
SYSTEM = {"role": "system", "content": "Be brief."}


def value_of(field: Field) -> Any:
    """Return a value that a field may well have."""
    if field.kind is Kind.MESSAGES:
        if field.is_answer:
            return [{**ASSISTANT, "content": f"The {field.name} answer."}]
        return [SYSTEM, USER, ASSISTANT] if field.ends_with else [SYSTEM, USER]
    return {
        Kind.STRING: "some text",
        Kind.NUMBER: 1.5,
        Kind.BOOLEAN: True,
        Kind.ARRAY: [1],
        Kind.OBJECT: {"a": 1},
        Kind.ANY: None,
    }[field.kind]


def sample(purpose: Purpose, number: int = 0, **changes: Any) -> dict[str, Any]:
    """Return a good line's value; `number` makes it differ from others, `changes` replace fields."""
    value = {field.name: value_of(field) for field in purpose.schema.fields}
    for name, one in value.items():
        if isinstance(one, str):
            value[name] = f"{one} {number}"
        elif isinstance(one, list) and isinstance(one[-1], dict):
            value[name] = [*one[:-1], {**one[-1], "content": f"{one[-1]['content']} {number}"}]
    return {**value, **changes}


def line(purpose: Purpose, number: int = 0, **changes: Any) -> bytes:
    """Return a good line, changed."""
    return json.dumps(sample(purpose, number, **changes)).encode() + b"\n"


def good(purpose: Purpose, count: int) -> bytes:
    """Return a good file."""
    return b"".join(line(purpose, number) for number in range(count))


def check(purpose: Purpose, *pieces: bytes, thorough: bool = False) -> FileReport:
    """Check a file that comes in pieces."""
    checker = Checker(purpose, where="f.jsonl", thorough=thorough)
    told: list[Finding] = []
    for piece in pieces:
        told += checker.feed(piece)
    told += checker.finish()
    report = checker.report()
    assert tuple(told) == report.findings
    return report


def found(
    purpose: Purpose, *pieces: bytes, thorough: bool = False
) -> list[tuple[str, int | None, str | None]]:
    """Return rule, line and place of everything that is found."""
    return [(one.rule, one.line_no, one.place) for one in check(purpose, *pieces, thorough=thorough).findings]
