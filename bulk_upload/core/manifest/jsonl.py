"""Manifest lines that are JSON objects, read and written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.manifest.rules import (
    FIELD_NAMES,
    LINE_BYTES_MAX,
    checked_entry,
    too_long,
    unknown_field_remedy,
)
from bulk_upload.core.model import Entry
from bulk_upload.core.text.json_fault import fault_of
from bulk_upload.core.text.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bulk_upload.core.finding import Finding
    from bulk_upload.core.manifest.rules import ManifestRules

Pairs = tuple[tuple[str, object], ...]

_EXAMPLE = '{"path": "train.jsonl", "purpose": "..."}'
_JSON_TYPES = {dict: "an object", tuple: "an object", list: "a list", str: "text", bool: "true or false"}


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    path: str | None = None
    purpose: str | None = None
    remote_name: str | None = None
    vector_database_id: str | None = None
    fields: dict[str, str] | None = None

    @property
    def name_count(self) -> int:
        texts = (self.path, self.purpose, self.remote_name, self.vector_database_id)
        return 4 - texts.count(None) + (0 if self.fields is None else 1 + len(self.fields))

    @property
    def colon_count(self) -> int:
        """The colons of its texts: addresses of objects have one each."""
        texts = (self.path, self.purpose, self.remote_name, self.vector_database_id)
        count = sum(text.count(":") for text in texts if text is not None)
        fields = () if self.fields is None else self.fields.items()
        return count + sum(name.count(":") + value.count(":") for name, value in fields)


def jsonl_entries(
    numbered_lines: Iterable[tuple[int, bytes]], rules: ManifestRules
) -> Iterator[Entry | Finding]:
    """Yield for each line its entry, or everything that is wrong with it. Blank lines are skipped."""
    decode = msgspec.json.Decoder(_Line).decode
    for line_no, line in numbered_lines:
        if len(line) > LINE_BYTES_MAX:
            yield too_long(rules, line_no)
            continue
        try:
            wire = decode(line)
        except (ValueError, RecursionError):
            wire = None
        # msgspec silently keeps the last of two equal names. Each name has a colon, so as many colons as there are in
        # what it kept proves that there is no such pair.
        if wire is None or not _keeps_all(wire, line):
            result = _carefully(line, line_no, rules)
        else:
            result = checked_entry(
                rules,
                line_no=line_no,
                path=wire.path,
                purpose=wire.purpose,
                remote_name=wire.remote_name,
                vector_database_id=wire.vector_database_id,
                fields=() if wire.fields is None else wire.fields.items(),
            )
        if isinstance(result, Entry):
            yield result
        else:
            yield from result


def _keeps_all(wire: _Line, line: bytes) -> bool:
    """Whether a line has nothing but what was kept of it. One with escapes and colons in texts takes the slow path: an
    escaped colon could stand for that of a name."""
    more = line.count(b":") - wire.name_count
    return not more or (b"\\" not in line and more == wire.colon_count)


def jsonl_line(entry: Entry) -> bytes:
    """Return the manifest line of an entry: ASCII, so that undecodable bytes in names survive as escapes."""
    content: dict[str, object] = {"path": entry.path, "purpose": entry.purpose}
    if entry.remote_name is not None:
        content["remote_name"] = entry.remote_name
    if entry.vector_database_id is not None:
        content["vector_database_id"] = entry.vector_database_id
    if entry.fields:
        content["fields"] = dict(entry.fields)
    return json.dumps(content).encode("ascii") + b"\n"


def _carefully(line: bytes, line_no: int, rules: ManifestRules) -> Entry | list[Finding]:
    """Read a line with the standard library: slower, but it accepts surrogates and says what is wrong where."""
    text = line.decode("utf-8", "surrogateescape").strip(" \t\r\n")
    if not text:
        return []
    try:
        # Objects become tuples of pairs: a dict would hide names that are written twice. Of numbers only
        # the type is checked, and int refuses to read very long ones.
        content = json.loads(text, object_pairs_hook=tuple, parse_int=float)
    except json.JSONDecodeError as error:
        return [_bad_json(error, line, line_no, rules)]
    except RecursionError:
        found = "the line is nested too deeply"
        return [rules.finding("bad-json", line_no, found=found, remedy=f"Write one flat object: {_EXAMPLE}")]
    if not isinstance(content, tuple):
        found = f"the line is {_json_type(content)}, not an object"
        return [rules.finding("not-an-object", line_no, found=found, remedy=f"Write an object: {_EXAMPLE}")]
    return _entry_of(content, line_no, rules)


def _bad_json(error: json.JSONDecodeError, line: bytes, line_no: int, rules: ManifestRules) -> Finding:
    indent = len(line) - len(line.lstrip(b" \t\r\n"))
    position, wrong = fault_of(error)
    remedy = f"Write one JSON object on each line, without commas between lines: {_EXAMPLE}"
    found = f"the line is not valid JSON: {wrong}"
    return rules.finding(
        "bad-json", line_no, place=f"column {position + 1 + indent}", found=found, remedy=remedy
    )


def _entry_of(pairs: Pairs, line_no: int, rules: ManifestRules) -> Entry | list[Finding]:
    faults = _twice(pairs, "", line_no, rules)
    texts: dict[str, str] = {}
    form_fields: dict[str, str] = {}
    for name, value in pairs:
        if name not in FIELD_NAMES:
            found = f"an entry has no field {quoted(name)}"
            remedy = unknown_field_remedy(name)
            faults.append(rules.finding("unknown-field", line_no, place=name, found=found, remedy=remedy))
        elif name == "fields" and isinstance(value, tuple):
            faults += _twice(value, "fields.", line_no, rules)
            faults += _gather_form_fields(value, form_fields, line_no, rules)
        elif isinstance(value, str) and name != "fields":
            texts[name] = value
        elif value is not None:
            wanted = "an object" if name == "fields" else "text"
            faults.append(_wrong_type(name, value, wanted, line_no, rules))
    return checked_entry(
        rules,
        line_no=line_no,
        path=texts.get("path"),
        purpose=texts.get("purpose"),
        remote_name=texts.get("remote_name"),
        vector_database_id=texts.get("vector_database_id"),
        fields=form_fields.items(),
        faults=faults,
    )


def _gather_form_fields(
    pairs: Pairs, into: dict[str, str], line_no: int, rules: ManifestRules
) -> list[Finding]:
    into.update((name, value) for name, value in pairs if isinstance(value, str))
    return [
        _wrong_type(f"fields.{name}", value, "text", line_no, rules)
        for name, value in pairs
        if not isinstance(value, str)
    ]


def _twice(pairs: Pairs, prefix: str, line_no: int, rules: ManifestRules) -> list[Finding]:
    names = [name for name, _ in pairs]
    if len(set(names)) == len(names):
        return []
    seen: set[str] = set()
    findings = {}
    for name in names:
        if name in seen:
            found = f"{quoted(name)} is written twice"
            findings[name] = rules.finding(
                "duplicate-field", line_no, place=prefix + name, found=found, remedy="Keep the one you mean"
            )
        seen.add(name)
    return list(findings.values())


def _wrong_type(place: str, value: object, wanted: str, line_no: int, rules: ManifestRules) -> Finding:
    found = f"{quoted(place)} is {_json_type(value)}, not {wanted}"
    remedy = "Write it in double quotes" if wanted == "text" else 'Write `"fields": {"name": "value"}`'
    return rules.finding("wrong-type", line_no, place=place, found=found, remedy=remedy)


def _json_type(value: object) -> str:
    return "null" if value is None else _JSON_TYPES.get(type(value), "a number")
