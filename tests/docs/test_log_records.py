"""Whatever a run can tell becomes a line that keeps to the published schema."""

from __future__ import annotations

import json
import os
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.api.redaction import SECRET_CHARS_MIN, Redaction
from bulk_upload.core.report.log_records import Level, Message, level_of, name_of
from bulk_upload.report.files.event_log import EventLog
from tests.docs import log_schema

NASTY = ["", "caf\udce9.jsonl", "\x1b[2J", "\u202e", "\x7f", "a\nb", 'q"\\', "sk-never-4711", "\ud800"]
TEXTS = st.one_of(st.sampled_from(NASTY), st.text(max_size=8))


def closed(schema: Any) -> Any:
    """Return a schema that also refuses what it does not name: stricter than what readers are promised."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(one) for key, one in schema.items()}
    return {"additionalProperties": False, **inner} if "properties" in inner else inner


PUBLISHED = json.loads(log_schema.FILE.read_text("utf-8"))
STRICT = jsonschema.Draft202012Validator(closed(PUBLISHED))


@cache
def values(hint: Any) -> st.SearchStrategy[Any]:
    """Return anything that a field of a type may hold."""
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXTS,
        int: st.integers(0, 2**70),
        bool: st.booleans(),
        float: st.floats(),
        type(None): st.none(),
    }
    if hint in plain:
        return plain[hint]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([values(one) for one in inner])
    if origin is tuple:
        return st.lists(values(inner[0]), max_size=2).map(tuple)
    if origin is Mapping:
        return st.dictionaries(values(inner[0]), values(inner[1]), max_size=2)
    if issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    fields = {name: values(one) for name, one in log_schema.hints_of(hint).items()}
    return st.fixed_dictionaries(fields).map(lambda given: hint(**given))


def lines_of(*records: Any, as_json: bool = True, clean: Any = lambda text: text) -> list[str]:
    """Return the lines of a log that takes everything."""
    lines: list[str] = []
    log = EventLog(
        lines.append,
        utc_now=lambda: "2026-06-18T09:30:00.000000Z",
        clean=clean,
        least=Level.TRACE,
        as_json=as_json,
    )
    for one in records:
        log.add(one)
    assert log.failure is None
    return lines


@pytest.mark.parametrize("kind", log_schema.RECORDS, ids=lambda kind: name_of(kind.__name__))
@given(data=st.data())
def test_every_record_keeps_to_the_schema(kind: type, data: st.DataObject) -> None:
    """A record of any kind with any values is one inert ASCII line, valid, with no field the schema does not know."""
    record = data.draw(values(kind))
    (line,) = lines_of(record)
    assert line.endswith("\n")
    assert line[:-1].isascii()
    assert line[:-1].isprintable()
    read = json.loads(line)
    STRICT.validate(read)
    assert read["event"] == name_of(kind.__name__)
    assert Level[read["level"].upper()] is level_of(record)


@given(kind=st.sampled_from(log_schema.RECORDS), data=st.data())
def test_a_text_log_is_inert_too(kind: type, data: st.DataObject) -> None:
    """As text a record is one ASCII line that begins with time, level and event."""
    (line,) = lines_of(data.draw(values(kind)), as_json=False)
    assert line[:-1].isascii()
    assert line[:-1].isprintable()
    assert line.split()[2] == name_of(kind.__name__)


def test_a_key_that_is_none_garbles_nothing() -> None:
    """A made-up key for a sandbox may be one letter; paths in the log stay what they are."""
    redaction = Redaction()
    redaction.learning("a")
    (line,) = lines_of(Message(text="data/a.jsonl"), clean=redaction.clean)
    assert json.loads(line)["text"] == "data/a.jsonl"


@given(name=st.binary(min_size=1, max_size=12))
def test_any_path_comes_back(name: bytes) -> None:
    """The bytes of a file name are what the line says, UTF-8 or not."""
    (line,) = lines_of(Message(text=os.fsdecode(name)))
    assert os.fsencode(json.loads(line)["text"]) == name


@given(
    kind=st.sampled_from(log_schema.RECORDS),
    data=st.data(),
    key=st.sampled_from(["sk-never-4711", "e", 'q"\\', "null"]),
)
def test_no_key_in_any_field(kind: type, data: st.DataObject, key: str) -> None:
    """A key that stands in any text of any record is gone, and the line is as valid as before."""
    redaction = Redaction()
    redaction.learning(key)
    (line,) = lines_of(data.draw(values(kind)), clean=redaction.clean)
    read = json.loads(line)
    assert read["event"] == name_of(kind.__name__)
    if len(key) >= SECRET_CHARS_MIN:
        assert key not in line


def test_a_key_that_is_read_anew_is_known() -> None:
    """Old and new key are taken out once a source has given both."""
    redaction = Redaction()
    keys = iter(["sk-first\n", "sk-second\n"])
    source = redaction.learning(lambda: next(keys))
    assert callable(source)
    assert (source(), source()) == ("sk-first\n", "sk-second\n")
    assert redaction.clean("sk-first, sk-second, sk-third") == "[key], [key], sk-third"


def test_a_log_that_cannot_be_written_goes_silent() -> None:
    """The first failure is kept, and nothing is tried again: the run goes on."""
    calls: list[str] = []

    def write(line: str) -> None:
        calls.append(line)
        raise OSError(28, "No space left on device")

    log = EventLog(write, utc_now=lambda: "now", clean=str, least=Level.INFO, as_json=True)
    for _ in range(3):
        log.add(Message(text="hello"))
    assert len(calls) == 1
    assert "No space left" in str(log.failure)
