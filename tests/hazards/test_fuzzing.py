"""Nothing that comes from a file, a server or a ledger makes the program fail, or leaves it in a harmful form.

The long version has 100,000 inputs and more: pytest -n 0 -m soak tests/hazards/test_fuzzing.py
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import get_args

import pytest
from msgspec.structs import fields as fields_of
from rich.console import Console

from bulk_upload.core.api.multipart import frame
from bulk_upload.core.api.responses import (
    ANSWER_BYTES_MAX,
    decipher,
    is_file_id,
    listed_page,
    looked_up_file,
)
from bulk_upload.core.api.retry_after import retry_after_s
from bulk_upload.core.api.secret import Secret
from bulk_upload.core.finding import Finding
from bulk_upload.core.manifest.reader import read_manifest
from bulk_upload.core.manifest.rules import ManifestRules
from bulk_upload.core.manifest.sent_name import SENT_NAME_BYTES_MAX, sent_name
from bulk_upload.core.model import Accepted, Entry, InDoubt, Outcome, SentBody
from bulk_upload.core.report.export import COLUMNS, ExportRow
from bulk_upload.core.run.reconcile import Doubt, Found, judge, suspects
from bulk_upload.core.run.records import without_secret
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.ledger import JobIdentity, LedgerReader, open_ledger
from bulk_upload.report.files.mapping_table import mapping_table
from bulk_upload.report.files.rows import json_line, write_csv
from tests.hazards.fault_wire import Form, Upload
from tests.hazards.fuzzing import fuzz, mutated, piece, texts

STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
FORMULA = tuple("=+-@|\t\r\uff1d\uff0b\uff0d\uff20")
SENT = SentBody(sent_name="a.jsonl", purpose="fine-tune", file_bytes=17, complete=True)
KEY = "sk-fuzz-91c5e6d27b30"


def assert_inert(text: str) -> None:
    """Nothing in a text steers a terminal."""
    assert text.isprintable(), ascii(text)


# --- manifests

_JSONL = (
    b'{"path": "train/a.jsonl", "purpose": "fine-tune"}\n{"path": "b.md", "purpose": "alignment"}\n',
    b'{"path": "a", "purpose": "fine-tune", "remote_name": "n", "fields": {"k": "v"}, "vector_database_id": "v"}\n',
)
_CSV = (
    b'path,purpose,remote_name\ntrain/a.jsonl,fine-tune,n\n"b,c",alignment,\n',
    b"path;purpose;fields.k\na;fine-tune;v\n",
    b"path\tpurpose\na\tfine-tune\n",
)


def manifest(random: Random, seeds: tuple[bytes, ...]) -> None:
    """Every line gives an entry that keeps to the root, or complaints that are harmless to read."""
    content = mutated(random, seeds)
    rules = ManifestRules(where="m\x1b.jsonl", root="/data", file_field="files")
    for one in read_manifest(content.splitlines(keepends=True), rules):
        if isinstance(one, Finding):
            assert_inert(str(one))
            continue
        assert isinstance(one, Entry)
        steps = one.path.split("/")
        assert not one.path.startswith("/")
        assert ".." not in steps
        assert "\0" not in one.path
        os.fsencode(one.path)
        name(one.path, one.remote_name)


def jsonl_manifest(random: Random) -> None:
    """As JSON Lines."""
    manifest(random, _JSONL)


def csv_manifest(random: Random) -> None:
    """As CSV."""
    manifest(random, _CSV)


# --- names


def names(random: Random) -> None:
    """Any path and any wanted name."""
    name(texts(random) or "x", texts(random) if random.random() < 0.5 else None)


def name(path: str, remote_name: str | None) -> None:
    """The name that is sent is one line without quotes and slashes, and a form around it reads back as it is."""
    sent = sent_name(path, remote_name)
    assert 0 < len(sent.encode()) <= SENT_NAME_BYTES_MAX
    assert STEERING.search(sent) is None
    assert not set('"/\\') & set(sent)
    form = frame(fields=[("purpose", "fine-tune")], file_field="files", filename=sent, boundary="b")
    body = form.prefix + b"content" + form.suffix
    headers = [("content-type", "multipart/form-data; boundary=b"), ("content-length", str(len(body)))]
    upload = Upload(1, "PUT", "/", headers)
    reader = Form(upload)
    reader.feed(body)
    reader.end()
    assert (upload.complete, upload.filename, upload.file_bytes) == (True, sent, 7)
    assert form.prefix.count(b"\r\n") == 8


# --- answers

_ANSWERS = (
    b'{"id": "file-1", "object": "file", "bytes": 17, "filename": "a.jsonl", "purpose": "fine-tune"}',
    b'{"detail": [{"loc": ["body", "purpose"], "msg": "Field required", "type": "missing"}]}',
    b'{"error": {"message": "no"}}',
    b"<html><body>502 Bad Gateway</body></html>",
)
_LISTS = (
    b'{"data": [{"id": "file-1", "bytes": 17, "filename": "a.jsonl", "purpose": "fine-tune"}, {"id": "file-2"}]}',
    b'{"object": "list", "data": [{"id": "file-1", "created_at": "2026-06-18T09:30:00Z"}]}',
)
_STATUSES = (
    200,
    201,
    204,
    299,
    301,
    307,
    400,
    401,
    403,
    404,
    408,
    413,
    422,
    425,
    429,
    500,
    502,
    503,
    504,
    599,
    0,
    999,
)


def header_value(random: Random) -> str:
    """A header as an HTTP library hands it over."""
    return piece(random).decode("utf-8", "surrogateescape")


def outcome_of(random: Random, answer: bytes, key: Secret | None = None) -> Outcome:
    """Return what an answer means, as the transport finds it out."""
    headers = {
        one: header_value(random)
        for one in ("retry-after", "date", "location", "cf-ray", "retry-after-ms", "x-request-id")
        if random.random() < 0.5
    }
    outcome = decipher(
        status=random.choice(_STATUSES),
        headers=headers,
        body=answer[: ANSWER_BYTES_MAX + 1],
        sent=SENT,
        now_utc_s=1.8e9,
    )
    return outcome if key is None else without_secret(outcome, key)


def answers(random: Random) -> None:
    """Any answer is one of the outcomes; its words are harmless, its id can stand in a path, its wait is finite."""
    outcome = outcome_of(random, mutated(random, _ANSWERS))
    assert isinstance(outcome, get_args(Outcome))
    for one in fields_of(outcome):
        value = getattr(outcome, one.name)
        if isinstance(value, str) and one.name != "created_at":
            assert_inert(value)
        if isinstance(value, float):
            assert math.isfinite(value)
            assert value >= 0
    if isinstance(outcome, Accepted):
        assert is_file_id(outcome.file_id)
        for warning in outcome.warnings:
            assert_inert(warning)
    if isinstance(outcome, InDoubt) and outcome.candidate_id is not None:
        assert is_file_id(outcome.candidate_id)


def echoed_keys(random: Random) -> None:
    """A key at any place of an answer, and cut anywhere, is in no outcome."""
    secret = Secret(KEY)
    data = bytearray(mutated(random, _ANSWERS))
    for at in sorted((random.randrange(len(data) + 1) for _ in range(3)), reverse=True):
        data[at:at] = b"x" * random.choice((0, 0, 250, 270, 280, 285, 290)) + KEY.encode()
    outcome = outcome_of(random, bytes(data), secret)
    # The transport takes a whole key out of a refusal's bytes before its words are cut.
    clean = outcome_of(random, secret.redact_bytes(bytes(data)), secret)
    assert KEY[:8] not in repr(clean)
    assert KEY not in repr(outcome)


def lists(random: Random) -> None:
    """Any list gives files whose ids can stand in a path, and a verdict."""
    page = listed_page(mutated(random, _LISTS))
    files = [] if page is None else list(page.files)
    looked_up = looked_up_file(mutated(random, _ANSWERS))
    assert looked_up is None or is_file_id(looked_up.file_id)
    doubt = Doubt(
        entry_id=1,
        attempt_id=1,
        sent_name="a.jsonl",
        file_bytes=17,
        purpose="fine-tune",
        sent_at_utc_s=1_781_775_000.0,
        settles_at_utc_s=1_781_775_030.0,
        candidate_id="file-2",
    )
    assert all(is_file_id(one.file_id) for one in files if one.has_id)
    suspected = suspects(doubt, files, clock_offset_s=0.0)
    found = judge(doubt, suspected, claimed_ids=set(), settled=True, clock_offset_s=0.0)
    assert not isinstance(found, Found) or is_file_id(found.file.file_id)


def waits(random: Random) -> None:
    """Any Retry-After is a finite wait of zero or more, or none."""
    seeds = (b"120", b"Wed, 21 Oct 2026 07:28:00 GMT", b"0.5", b"Wednesday, 21-Oct-26 07:28:00 GMT")
    headers = {
        one: mutated(random, seeds).decode("utf-8", "surrogateescape")
        for one in ("retry-after", "retry-after-ms", "date")
        if random.random() < 0.7
    }
    wait_s = retry_after_s(headers, now_utc_s=1.8e9)
    assert wait_s is None or (math.isfinite(wait_s) and wait_s >= 0)


# --- what goes out


def row(random: Random) -> ExportRow:
    """A row with hostile texts in every column that may have them."""
    return ExportRow(
        path=texts(random),
        purpose=texts(random),
        status="accepted",
        file_id=texts(random),
        bytes=random.choice((None, 0, 2**63)),
        sent_name=texts(random),
        reason=texts(random),
        settled_utc="2026-06-18T09:30:00.000000Z",
    )


def exported_rows(random: Random) -> None:
    """A row in CSV is one record without a formula and without control bytes; in JSON Lines it comes back exactly."""
    one = row(random)
    stream = io.BytesIO()
    write_csv([one], stream)
    text = stream.getvalue().decode("utf-8", "surrogateescape")
    assert text.count("\n") == 2
    assert STEERING.search(text.replace("\n", "")) is None
    # Some spreadsheets split at semicolons, where that is the custom of the country.
    for delimiter in ",;":
        header, *records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        assert len(records) == 1
        if delimiter == ",":
            assert tuple(header) == COLUMNS
            assert len(records[0]) == len(COLUMNS)
        for cell in records[0]:
            assert not cell.startswith(FORMULA), ascii(cell)
    line = json_line(one)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert json.loads(line) == one._asdict()


def shown_tables(random: Random) -> None:
    """A table for the terminal has no control character but the line ends."""
    stream = io.StringIO()
    Console(file=stream, width=80, force_terminal=False).print(mapping_table([row(random)], limit=1))
    for line in stream.getvalue().splitlines():
        assert_inert(line)
    assert_inert(printable(texts(random)))


ATTEMPTS: tuple[Callable[[Random], None], ...] = (
    jsonl_manifest,
    csv_manifest,
    names,
    answers,
    echoed_keys,
    lists,
    waits,
    exported_rows,
    shown_tables,
)


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda one: one.__name__)
def test_hostile_inputs_do_no_harm(attempt: Callable[[Random], None]) -> None:
    """A few hundred inputs of each sort."""
    fuzz(200, 1, attempt)


async def ledger_keeps_any_entry(path: Path, count: int, seed: int) -> None:
    """Entries with hostile texts go into a ledger and come out as they went in."""
    random = Random(seed)
    entries: dict[bytes, Entry] = {}
    while len(entries) < count:
        one = Entry(
            path=(texts(random) or "x").encode("utf-8", "replace").decode(),
            purpose=texts(random),
            remote_name=random.choice((None, texts(random))),
            fields=((texts(random), texts(random)),),
        )
        entries.setdefault(one.key, one)
    job = JobIdentity(profile="flow", endpoint="https://api.example", team=None, root="/data")
    ledger = open_ledger(str(path), job, version="1", moved_root=False, utc_s=1.8e9)
    await ledger.writer.run(lambda store: store.register(list(entries.values()), utc_s=1.8e9))
    await ledger.close()
    with LedgerReader(str(path)) as reader:
        rows = list(reader.rows())
    assert [one.path for one in rows] == [one.path for one in entries.values()]
    assert [one.purpose for one in rows] == [
        one.purpose.encode("utf-8", "backslashreplace").decode() for one in entries.values()
    ]
    stream = io.BytesIO()
    assert write_csv(rows, stream) == count
    assert stream.getvalue().count(b"\n") == count + 1


async def test_a_ledger_keeps_any_entry(tmp_path: Path) -> None:
    """A few hundred entries of hostile texts are registered, exported and unchanged."""
    await ledger_keeps_any_entry(tmp_path / "ledger.db", 300, 1)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda one: one.__name__)
def test_many_hostile_inputs_do_no_harm(attempt: Callable[[Random], None]) -> None:
    """Twelve thousand inputs of each sort."""
    fuzz(12_000, 2, attempt)


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_a_ledger_keeps_many_entries(tmp_path: Path) -> None:
    """Ten thousand entries."""
    await ledger_keeps_any_entry(tmp_path / "ledger.db", 10_000, 2)
