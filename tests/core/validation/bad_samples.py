"""Lines and files that are wrong, and what is found in each."""

from __future__ import annotations

from typing import Any

from tests.core.data_samples import (
    ALIGNMENT,
    ASSISTANT,
    CHAT,
    PREFERENCE,
    PRETRAIN,
    REINFORCEMENT,
    SYSTEM,
    USER,
    line,
)


def messages(*those: dict[str, Any]) -> bytes:
    """Return a line of a conversation."""
    return line(CHAT, messages=list(those))


GOOD_TEXT = b'{"text": "a"}'
BAD_LINES = [
    # purpose, line, rule, place
    (CHAT, b'{"messages": [}', "bad-json", "column 15"),
    (CHAT, b'{"messages": [{"role": "user", "content": "a"}', "bad-json", "column 47"),
    (CHAT, b"{'messages': []}", "bad-json", "column 2"),
    (PRETRAIN, b'{"text": None}', "bad-json", "column 10"),
    (PRETRAIN, b'{"text": "a\tb"}', "bad-json", "column 12"),
    (PRETRAIN, b'{"text": "\\q"}', "bad-json", "column 11"),
    (PRETRAIN, b'{"text": "a",}', "bad-json", "column 13"),
    (PRETRAIN, b'{"text": "a" , \t}', "bad-json", "column 14"),
    (PRETRAIN, b'{"text": "a", "x": [1, 2, ]}', "bad-json", "column 25"),
    (PRETRAIN, b'{"text": "a", "x": [1, }', "bad-json", "column 24"),
    (PRETRAIN, b'{"text": "a", ]', "bad-json", "column 15"),
    (PRETRAIN, b'{,}', "bad-json", "column 2"),
    (PRETRAIN, b'{"text": "a",', "bad-json", "column 14"),
    (PRETRAIN, b'{"text": "a"} x', "trailing-garbage", "column 15"),
    (PRETRAIN, b'{"text": "a"}{"text": "b"}', "trailing-garbage", "column 14"),
    (PRETRAIN, b'"text"', "not-an-object", None),
    (PRETRAIN, b"[1, 2]", "not-an-object", None),
    (PRETRAIN, b"null", "not-an-object", None),
    (PRETRAIN, b'{"text": 5}', "wrong-type", "$.text"),
    (PRETRAIN, b'{"text": null}', "wrong-type", "$.text"),
    (PRETRAIN, b'{"text": ["a"]}', "wrong-type", "$.text"),
    (PRETRAIN, b'{"text": ""}', "empty-content", "$.text"),
    (PRETRAIN, b'{"text": "a", "x": NaN}', "not-a-number", "$.x"),
    (PRETRAIN, b'{"text": "a", "x": {"y": [1, -Infinity]}}', "not-a-number", "$.x.y[1]"),
    (PRETRAIN, b'{"text": "\\ud83d"}', "lone-surrogate", "column 11"),
    (PRETRAIN, b'{"text": "a", "x": "\\udc00\\ud83d"}', "lone-surrogate", "column 21"),
    (PRETRAIN, b'{"text": "caf\xe9"}', "not-utf-8", "column 14"),
    (PRETRAIN, b'{"text": "a", "x": "caf\xe9"}', "not-utf-8", "column 24"),
    (PRETRAIN, b'{"text": "a", "x": ' + b"[" * 100_000 + b"}", "too-deep", None),
    (PRETRAIN, b" \t", "blank-line", None),
    (CHAT, b'{"messages": "[]"}', "wrong-type", "$.messages"),
    (CHAT, b'{"messages": []}', "empty-messages", "$.messages"),
    (CHAT, b'{"messages": ["a"]}', "wrong-type", "$.messages[0]"),
    (CHAT, messages(USER, {"role": "Assistant", "content": "a"}), "wrong-role", "$.messages[1].role"),
    (CHAT, messages(USER, {"role": "gpt", "content": "a"}), "wrong-role", "$.messages[1].role"),
    (CHAT, messages(USER, {"role": 3, "content": "a"}), "wrong-type", "$.messages[1].role"),
    (CHAT, messages(USER, {"content": "a"}), "missing-key", "$.messages[1].role"),
    (CHAT, messages(USER, {"role": "assistant"}), "missing-key", "$.messages[1].content"),
    (CHAT, messages(USER, {"role": "assistant", "content": None}), "wrong-type", "$.messages[1].content"),
    (CHAT, messages(USER, {"role": "assistant", "content": [{"type": "text"}]}), "content-parts", "$.messages[1].content"),
    (CHAT, messages(USER, {"role": "assistant", "content": ""}), "empty-content", "$.messages[1].content"),
    (CHAT, messages(USER, SYSTEM, ASSISTANT), "role-order", "$.messages[1].role"),
    (CHAT, messages(ASSISTANT, USER, ASSISTANT), "role-order", "$.messages[0].role"),
    (CHAT, messages(USER, ASSISTANT, ASSISTANT), "role-order", "$.messages[2].role"),
    (CHAT, messages(USER, ASSISTANT, USER), "last-role", "$.messages[2].role"),
    (CHAT, messages(SYSTEM, USER), "no-assistant", "$.messages"),
    (PREFERENCE, line(PREFERENCE, chosen=[ASSISTANT, USER]), "last-role", "$.chosen[1].role"),
    (PREFERENCE, line(PREFERENCE, rejected="no"), "wrong-type", "$.rejected"),
    (PREFERENCE, line(PREFERENCE, rejected=[]), "empty-messages", "$.rejected"),
    (REINFORCEMENT, line(REINFORCEMENT, reference_answer=28), "wrong-type", "$.reference_answer"),
    (REINFORCEMENT, line(REINFORCEMENT, reference_answer=""), "empty-content", "$.reference_answer"),
    (ALIGNMENT, line(ALIGNMENT, messages={}), "wrong-type", "$.messages"),
]  # fmt: skip


OTHER_FILES = [
    (b"\x1f\x8b\x08\x00\x00", "compressed", "gzip"),
    (b"PK\x03\x04abc", "compressed", "ZIP"),
    (b"\x28\xb5\x2f\xfdxxxx", "compressed", "Zstandard"),
    (b"PAR1....", "not-json-lines", "Parquet"),
    (b"%PDF-1.7\n%", "not-json-lines", "PDF"),
    ('{"text": "a"}\n'.encode("utf-16"), "utf-16", "UTF-16"),
    ('{"text": "a"}\n'.encode("utf-16-le"), "utf-16", "UTF-16"),
    (b"\x00\x01\x02\x03\x00binary", "not-json-lines", "binary"),
    (b'prompt,completion\n"a, b",c\n', "not-json-lines", "CSV"),
    (b"text\tlabel\na\tb\n", "not-json-lines", "CSV"),
    (b"<!DOCTYPE html>\n<html>\n", "not-json-lines", "HTML"),
    (b"Once upon a time there was a princess who lived in a castle far away,\nand so on\n", "not-json-lines", "plain text"),
    (b'{\n  "text": "a"\n}\n', "pretty-printed", "pretty-printed"),
    (b'{"messages": [\n  {"role": "user"}\n]}\n', "pretty-printed", "pretty-printed"),
    (b'[{"text": "a"}, {"text": "b"}]', "json-array", "array"),
    (b'[\n{"text": "a"}\n]\n', "json-array", "array"),
    (b'[{"text": "a"},\n{"text": "b"}]\n', "json-array", "array"),
]  # fmt: skip
