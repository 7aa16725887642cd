"""docs/reference/rules.md is made of the rules and of these examples: `python tests/docs/rules_page.py` writes it anew."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

from bulk_upload.core.validation.rules import RULES, WHOLE_FILE

FILE = Path(__file__).parents[2] / "docs" / "reference" / "rules.md"
COMMAND = "python tests/docs/rules_page.py"

ASKED = '{"role": "user", "content": "Is it raining?"}'
SAID = '{"role": "assistant", "content": "No."}'
GOOD = f'{{"messages": [{ASKED}, {SAID}]}}\n'
TEXT = '{"text": "Once upon a time."}\n'
CALL = '{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}'
RESULT = '{"role": "tool", "tool_call_id": "c1", "content": "dry"}'
REQUESTS = """\
[purposes.requests]
lines_max = 2
file_bytes_max = 120
fields.id = { type = "string", unique = true }
fields.url = { type = "string", values = ["/v1/chat", "/v1/embeddings"], same = true }
"""
ASKING = '{"id": "a", "url": "/v1/chat"}\n'
ASKING_TOO = '{"id": "b", "url": "/v1/chat"}\n'
AGENT = '[purposes.fine-tune]\nroles = ["system", "user", "assistant", "tool"]\ncontent_parts = true\ntool_calls = true\n'


class Example(NamedTuple):
    """Content that earns a rule, and content that does not.

    `what_wrong` and `what_right` are shown in place of content that is no text. `schema` is the --schema file.
    """

    wrong: str | bytes
    right: str | bytes = GOOD
    purpose: str = "fine-tune"
    name: str = "data.jsonl"
    what_wrong: str = ""
    what_right: str = ""
    schema: str = ""
    thorough: bool = False


def chat(*messages: str) -> str:
    """Return a line of a conversation."""
    return f'{{"messages": [{", ".join(messages)}]}}\n'


def zipped(*names: str) -> bytes:
    """Return an archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), "x")
    return buffer.getvalue()


def pair(chosen: str, rejected: str, asked: str = ASKED) -> str:
    """Return a line of preference data."""
    return f'{{"messages": [{asked}], "chosen": [{chosen}], "rejected": [{rejected}]}}\n'


MAYBE = '{"role": "assistant", "content": "Perhaps."}'
OTHER = '{"role": "user", "content": "And tomorrow?"}'
PAIR = pair(SAID, MAYBE)
PREFERENCE, PRETRAIN, ALIGNMENT = "preference-fine-tune", "pre-train", "alignment"

EXAMPLES: dict[str, Example] = {
    "empty-file": Example("\n"),
    "bad-compressed": Example(
        gzip.compress(GOOD.encode() * 99)[:-20], what_wrong="a gzip file without its end", what_right="the file that is in it"
    ),
    "compressed": Example(gzip.compress(GOOD.encode()), what_wrong="a gzip file", what_right="the file that is in it"),
    "not-json-lines": Example("text,label\nOnce upon a time.,story\n"),
    "utf-16": Example(TEXT.encode("utf-16"), TEXT, PRETRAIN, what_wrong="UTF-16, as old editors save it"),
    "zero-filled": Example(b"\0" * 512, what_wrong="512 zero bytes"),
    "zero-filled-tail": Example(GOOD.encode() + b"\0" * 512, what_wrong="good lines, and 512 zero bytes after them"),
    "pretty-printed": Example('{\n  "text": "Once upon a time."\n}\n', TEXT, PRETRAIN),
    "json-array": Example('[\n{"text": "Once upon a time."}\n]\n', TEXT, PRETRAIN),
    "byte-order-mark": Example(b"\xef\xbb\xbf" + GOOD.encode(), what_wrong="the bytes EF BB BF before the first line"),
    "crlf": Example(GOOD.encode().replace(b"\n", b"\r\n"), what_wrong="lines that end with the bytes 0D 0A"),
    "cr-lines": Example(GOOD.encode().replace(b"\n", b"\r") * 2, what_wrong="lines that end with the byte 0D"),
    "line-separator": Example(
        TEXT.replace(" upon", "\u2028upon"), TEXT.replace(" upon", "\\u2028upon"), PRETRAIN, what_wrong="U+2028 itself between two words"
    ),
    "foreign-schema": Example('{"instruction": "Is it raining?", "input": "", "output": "No."}\n'),
    "purpose-mismatch": Example(TEXT),
    "wrong-purpose": Example(PAIR.replace('"user"', '"user"') + GOOD, GOOD),
    "unusual-suffix": Example(GOOD, name="data.csv"),
    "unknown-schema": Example(GOOD, purpose="classify"),
    "bad-json": Example('{"text": None}\n', '{"text": "None"}\n', PRETRAIN),
    "trailing-garbage": Example('{"text": "one"} {"text": "two"}\n', '{"text": "one"}\n{"text": "two"}\n', PRETRAIN),
    "trailing-comma": Example(TEXT.replace("\n", ",\n"), TEXT, PRETRAIN),
    "double-encoded": Example(json.dumps(TEXT.strip()) + "\n", TEXT, PRETRAIN),
    "not-an-object": Example('"Once upon a time."\n', TEXT, PRETRAIN),
    "not-a-number": Example('{"text": "one", "score": NaN}\n', '{"text": "one", "score": null}\n', PRETRAIN),
    "not-utf-8": Example(b'{"text": "caf\xe9"}\n', '{"text": "caf\u00e9"}\n', PRETRAIN, what_wrong="the byte E9, an \u00e9 of Latin-1"),
    "lone-surrogate": Example('{"text": "\\ud83d"}\n', '{"text": "\\ud83d\\ude00"}\n', PRETRAIN),
    "too-deep": Example('{"text": "a", "x": ' + "[" * 100_000 + "]" * 100_000 + "}\n", TEXT, PRETRAIN, what_wrong="100,000 arrays within each other"),
    "huge-line": Example(b'{"text": "%s"}\n' % (b"x" * 33 * 1024 * 1024), TEXT, PRETRAIN, what_wrong="a line of 33 MiB"),
    "missing-key": Example('{"txt": "one"}\n', '{"text": "one"}\n', PRETRAIN),
    "wrong-type": Example('{"text": 5}\n', '{"text": "5"}\n', PRETRAIN),
    "wrong-role": Example(chat(ASKED, SAID.replace("assistant", "gpt"))),
    "content-parts": Example(chat('{"role": "user", "content": [{"type": "text", "text": "Is it raining?"}]}', SAID)),
    "empty-messages": Example('{"messages": []}\n'),
    "empty-content": Example(chat(ASKED, '{"role": "assistant", "content": " "}')),
    "no-assistant": Example(chat(ASKED)),
    "template-marks": Example(
        chat('{"role": "user", "content": "<|im_start|>user\\nIs it raining?<|im_end|>"}', SAID),
        chat(ASKED, SAID),
    ),
    "role-order": Example(chat(ASKED, OTHER, SAID), chat(ASKED, SAID, OTHER, MAYBE)),
    "last-role": Example(chat(ASKED, SAID, OTHER), chat(ASKED, SAID, OTHER, MAYBE)),
    "bad-part": Example(
        chat('{"role": "user", "content": [{"text": "Is it raining?"}]}', SAID),
        chat('{"role": "user", "content": [{"type": "text", "text": "Is it raining?"}]}', SAID), schema=AGENT,
    ),
    "bad-weight": Example(chat(ASKED, SAID.replace("}", ', "weight": "yes"}')), chat(ASKED, SAID.replace("}", ', "weight": 1}'))),
    "no-weight": Example(chat(ASKED, SAID.replace("}", ', "weight": 0}')), chat(ASKED, SAID.replace("}", ', "weight": 1}'))),
    "bad-tool-call": Example(
        chat(ASKED, '{"role": "assistant", "tool_calls": [{"id": "c1", "name": "weather"}]}'),
        chat(ASKED, f'{{"role": "assistant", "tool_calls": [{CALL}]}}'), schema=AGENT,
    ),
    "tool-call-ids": Example(
        chat(ASKED, f'{{"role": "assistant", "tool_calls": [{CALL}]}}', RESULT.replace("c1", "c2"), SAID),
        chat(ASKED, f'{{"role": "assistant", "tool_calls": [{CALL}]}}', RESULT, SAID), schema=AGENT,
    ),
    "system-beside-messages": Example(
        f'{{"system": "Be brief.", "messages": [{ASKED}, {SAID}]}}\n', chat('{"role": "system", "content": "Be brief."}', ASKED, SAID)
    ),
    "same-answers": Example(pair(SAID, SAID), PAIR, PREFERENCE),
    "prompts-differ": Example(pair(f"{ASKED}, {SAID}", f"{OTHER}, {MAYBE}"), pair(f"{ASKED}, {SAID}", f"{ASKED}, {MAYBE}"), PREFERENCE),
    "answer-in-messages": Example(pair(SAID, MAYBE, f"{ASKED}, {SAID}"), PAIR, PREFERENCE),
    "blank-line": Example(GOOD + "\n"),
    "duplicate-line": Example(GOOD * 2),
    "wrong-value": Example('{"id": "a", "url": "/chat"}\n', ASKING, "requests", schema=REQUESTS),
    "repeated-value": Example(ASKING + '{"id": "a", "url": "/v1/chat", "n": 2}\n', ASKING + ASKING_TOO, "requests", schema=REQUESTS),
    "differing-value": Example(ASKING + '{"id": "b", "url": "/v1/embeddings"}\n', ASKING + ASKING_TOO, "requests", schema=REQUESTS),
    "too-many-lines": Example(
        ASKING + ASKING_TOO + '{"id": "c", "url": "/v1/chat"}\n', ASKING + ASKING_TOO, "requests", schema=REQUESTS
    ),
    "too-many-bytes": Example(
        ASKING.replace("\"a\"", f'"{"a" * 100}"'), ASKING, "requests", schema=REQUESTS
    ),
    "duplicate-key": Example('{"text": "one", "text": "two"}\n', '{"text": "two"}\n', PRETRAIN, thorough=True),
    "bad-parquet": Example(b"PAR1", b"", name="data.parquet", what_wrong="a Parquet file without its end", what_right="the whole file"),
    "bad-torch": Example(
        zipped("word/document.xml"), zipped("model/data.pkl", "model/data/0"), name="model.pt",
        what_wrong="a ZIP archive without data.pkl", what_right="a file that torch.save wrote",
    ),
    "empty-document": Example("", "# Rain\n", ALIGNMENT, "rain.md", what_wrong="no content"),
    "cut-document": Example("%PDF-1.7\n", "%PDF-1.7\n%%EOF\n", ALIGNMENT, "rain.pdf"),
    "document-mismatch": Example("<!DOCTYPE html>\n<title>404 Not Found</title>\n", "# Rain\n", ALIGNMENT, "rain.md"),
}  # fmt: skip

NO_EXAMPLE = {
    "unreadable": "A file without read permission, one that keeps changing, or one on a disk that fails.",
    "duplicate-across-files": "An example that an earlier file has, too, with `--stats`, `--report` or `--group`.",
    "train-eval-overlap": "An example of the group `eval` that the group `train` has, or whose prompt it has, with `--group`.",
    "too-many-tokens": "An example that is longer than `--max-tokens` by `--tokenizer`.",
    "likely-secret": "A text with a key such as `AKIA` and sixteen characters, with `--scan secrets`.",
    "personal-data": "A text with an email address or a card number, with `--scan secrets`.",
    "duplicates-unchecked": "A file of more than a million lines.",
    "compressed-unread": "A Zstandard file where zstandard is not installed.",
    "parquet-columns": "A Parquet file for `fine-tune` without the column `messages`.",
    "parquet-unread": "A Parquet file where pyarrow is not installed.",
    "torch-unread": "Any PyTorch file: what is in it was not loaded.",
}
"""What earns the rules that no small content earns."""


_SEVERITY = """\
Only errors keep a file from being sent. `--ignore RULE` leaves a rule out, `--error RULE` makes its findings errors, and
`--strict` makes every warning an error: for `validate`, `plan` and `run`, or as `ignore`, `error` and `strict` in
`bulk-upload.toml`, which all three read.
"""


def text() -> str:
    """Return the page."""
    parts = [
        "# Rules of validation\n",
        f"Made of the rules by `{COMMAND}`. [Validate training data](../how-to/validation.md) says how to use them.\n",
        _SEVERITY,
    ]
    for name, rule in RULES.items():
        about = " It is about the file as a whole: no line is judged." if name in WHOLE_FILE else ""
        parts.append(f"## {name}\n")
        parts.append(f"**{rule.severity.value}**: {_escaped(rule.meaning)}.{about}\n")
        parts += _example(name)
        parts.append(f"Remedy: {_escaped(rule.remedy)}.\n")
    return "\n".join(parts)


def _example(name: str) -> list[str]:
    if name in NO_EXAMPLE:
        return [f"Found for: {NO_EXAMPLE[name][:1].lower()}{NO_EXAMPLE[name][1:]}\n"]
    one = EXAMPLES[name]
    given = f"{'an' if one.purpose[0] in 'aeiou' else 'a'} `{one.purpose}` file `{one.name}`"
    parts = [f"Wrong, in {given}:\n", _shown(one.wrong, one.what_wrong)]
    if name in ("unusual-suffix", "unknown-schema"):
        return parts
    return [*parts, "Right:\n", _shown(one.right, one.what_right)]


def _shown(content: str | bytes, what: str) -> str:
    if what:
        return f"> {what}\n"
    words = content if isinstance(content, str) else content.decode()
    return f"```text\n{words.rstrip(chr(10)) or '(an empty line)'}\n```\n"


def _escaped(words: str) -> str:
    return words.replace("<", "\\<")


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
    sys.stdout.write(f"{json.dumps(str(FILE.name))} written\n")
