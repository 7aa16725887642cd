"""An independent witness: reads the sandbox's journal, the disk and the ledger's exports, and compares them.

It shares no code with the engine, the ledger or the transport: what they believe is not evidence.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.e2e.stage import Stage
from tests.e2e.trees import Tree

ANSWER_GRACE_S = 1.0
"""How long an answer may take to reach the client on a busy machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One line of the journal, or one file of a request with several. `number` counts arrivals, `line` the ends of requests;
    `file_id` means stored, and `bundled` that there were several files.
    """

    kind: str
    number: int
    line: int
    at_s: float
    method: str
    path: str
    status: int | None
    fault: str
    complete: bool
    filename: str | None
    file_bytes: int | None
    sha256: str | None
    purpose: str | None
    file_id: str | None
    bundled: bool = False

    @property
    def leaves_doubt(self) -> bool:
        """Whether the client, having sent the whole form, cannot know from the answer what became of it.

        A sound 2xx, a refusal (4xx other than 408 and 425) and a 503 that names a wait are clear answers; a refusal of
        several files says nothing of any of them, unless there is no such call or it asks to wait.
        """
        if not self.complete:
            return False
        if self.status is None:
            return True
        if self.status < 300:
            return self.fault != "" and not self.fault.startswith(("delay", "slow", "reversed"))
        if self.status == 503 and ":" in self.fault:
            return False
        unclear = self.bundled and self.status not in (401, 403, 404, 405, 429)
        return unclear or self.status in (408, 425) or self.status >= 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of an export. `path` is as on disk."""

    path: bytes
    status: str
    file_id: str | None
    file_bytes: int | None
    sha256: str | None
    sent_name: str | None
    attempts: int
    reason: str | None


def journal_of(stage: Stage) -> list[Request]:
    """Return the sandbox's journal, in the order in which requests ended."""
    return [one for line, text in enumerate(stage.journal_lines()) for one in _requests(text, line)]


def uploads_of(stage: Stage) -> list[Request]:
    """Return the upload requests in the order in which they arrived."""
    uploads = [one for one in journal_of(stage) if one.kind == "upload"]
    return sorted(uploads, key=lambda one: one.number)


def stored_of(stage: Stage) -> dict[str, Request]:
    """Return every upload that made a file at the server, by the file's id."""
    return {one.file_id: one for one in uploads_of(stage) if one.file_id is not None}


def rows_of(stage: Stage, *, all_receipts: bool = False, ledger: Path | None = None) -> list[Row]:
    """Return the rows that `ledger export` prints; `ledger` is a copy to read in place of the job's own."""
    options = ("--all-receipts",) if all_receipts else ()
    ended = stage.call("ledger", "export", str(ledger or stage.ledger), "--format", "jsonl", *options)
    assert ended.code == 0, ended.stderr
    return [_row(json.loads(line)) for line in ended.stdout.splitlines()]


def results_of(stage: Stage) -> list[Row]:
    """Return the rows of the results file that a run left: the same without a process, for plain names only."""
    (results,) = stage.folder.glob("*.results.csv")
    with open(results, newline="", encoding="utf-8", errors="surrogateescape") as file:
        return [_row({name: text or None for name, text in row.items()}) for row in csv.DictReader(file)]


def row_by_path(stage: Stage) -> dict[bytes, Row]:
    """Return the current row of every entry."""
    rows = rows_of(stage)
    by_path = {row.path: row for row in rows}
    assert len(by_path) == len(rows), "a path has two rows"
    return by_path


def states_in(rows: dict[bytes, Row]) -> Counter[str]:
    """Return how many rows have each state."""
    return Counter(row.status for row in rows.values())


def told_status(stage: Stage) -> dict[str, int]:
    """Return the counts that `status` prints."""
    ended = stage.call("status", str(stage.ledger))
    assert ended.code == 0, ended.stderr
    words = [line.split() for line in ended.stdout.splitlines()]
    return {one[0]: int(one[1].replace(",", "")) for one in words if len(one) == 2 and one[1][0].isdigit()}


def sha256_on_disk(path: bytes | Path) -> str:
    """Hash a file in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def assert_all_accepted(stage: Stage, tree: Tree) -> dict[bytes, Row]:
    """The job is done: each file's bytes are at the server once, under the id that its row names, and nothing else."""
    exported = rows_of(stage)
    rows = assert_honest(stage, tree, exported)
    assert_results_agree(stage, exported)
    unsettled = {row.path: (row.status, row.reason) for row in rows.values() if row.status != "accepted"}
    assert not unsettled, unsettled
    stored = stored_of(stage)
    assert {row.file_id for row in rows.values()} == set(stored)
    assert len(stored) == len(tree.paths)
    return rows


def assert_honest(stage: Stage, tree: Tree, exported: list[Row] | None = None) -> dict[bytes, Row]:
    """What the ledger says holds, wherever the job stands.

    Every file has a row, every receipt names a file with that file's bytes, no id has two rows, no file is at
    the server more often than there are entries for it, and no byte went outside of a request.
    """
    exported = rows_of(stage) if exported is None else exported
    rows = {_within(stage, tree, row.path): row for row in exported}
    assert len(rows) == len(exported)
    assert set(rows) == set(tree.paths)
    stored = stored_of(stage)
    accepted = {path: row for path, row in rows.items() if row.status == "accepted"}
    ids = Counter(row.file_id for row in accepted.values())
    assert not [one for one, count in ids.items() if count > 1]
    for path, row in accepted.items():
        file = stored.get(row.file_id or "")
        assert file is not None, f"{path!r} has the id of a file that is not at the server"
        assert file.sha256 == row.sha256 == sha256_on_disk(tree.full(path)), path
        assert (file.file_bytes, file.filename) == (row.file_bytes, row.sent_name), path
        if stage.kept is not None:
            assert sha256_on_disk(stage.kept / str(row.file_id)) == row.sha256, path
    for path, row in rows.items():
        if row.status not in ("accepted", "in_doubt"):
            assert row.file_id is None, path
    assert_no_extra_copies(stage, tree)
    assert [one for one in journal_of(stage) if one.kind == "unexpected"] == []
    return rows


def assert_no_extra_copies(stage: Stage, tree: Tree) -> None:
    """No content is at the server more often than the tree has files with it."""
    on_disk = Counter(sha256_on_disk(full) for full in map(tree.full, tree.paths) if os.path.exists(full))
    stored = Counter(str(one.sha256) for one in stored_of(stage).values())
    extra = {sha256: count - on_disk[sha256] for sha256, count in stored.items() if count > on_disk[sha256]}
    assert not extra, f"{sum(extra.values())} extra copies"


def assert_no_unsuspected_files(stage: Stage, rows: dict[bytes, Row]) -> None:
    """The server has no more files without a receipt than there are entries in doubt."""
    unclaimed = set(stored_of(stage)) - {row.file_id for row in rows.values()}
    in_doubt = sum(row.status == "in_doubt" for row in rows.values())
    assert len(unclaimed) <= in_doubt, f"{len(unclaimed)} files without receipt, {in_doubt} entries in doubt"


def assert_results_agree(stage: Stage, exported: list[Row]) -> None:
    """The results file of the last run says the same as the ledger's export, in the same order."""
    told = [replace(row, path=b"", sent_name=None, reason=None) for row in results_of(stage)]
    assert told == [replace(row, path=b"", sent_name=None, reason=None) for row in exported]


def assert_nothing_sent_blindly(stage: Stage) -> None:
    """After an upload that may have left a file behind, nothing alike is sent before the list was asked.

    And if it did leave a file behind, the list has shown it, so that nothing more is sent than there are files
    alike: `assert_no_extra_copies` sees to that.
    """
    journal = journal_of(stage)
    lists = [one for one in journal if _is_listing(one) and one.status == 200]
    alike: defaultdict[tuple[Any, ...], list[Request]] = defaultdict(list)
    for one in uploads_of(stage):
        if one.complete:
            alike[one.filename, one.purpose, one.file_bytes].append(one)
    for requests in alike.values():
        for earlier, later in pairwise(requests):
            if earlier.leaves_doubt:
                between = [one for one in lists if earlier.number < one.number < later.number]
                assert [one for one in between if one.line > earlier.line], (earlier, later)


def assert_gates_kept(stage: Stage, *, grace_s: float = ANSWER_GRACE_S) -> None:
    """No upload starts between the arrival of an answer that names a wait and the end of that wait."""
    uploads = uploads_of(stage)
    for refused in uploads:
        wait_s = _named_wait_s(refused)
        if wait_s is None:
            continue
        early = [one for one in uploads if grace_s < one.at_s - refused.at_s < wait_s and one is not refused]
        assert not early, f"{len(early)} uploads within {wait_s} s of {refused}"


def lists_of(stage: Stage) -> list[Request]:
    """Return the list requests."""
    return [one for one in journal_of(stage) if _is_listing(one)]


def _is_listing(request: Request) -> bool:
    return request.method == "GET" and request.path.partition("?")[0] == "/v1/flow/files"


def _named_wait_s(request: Request) -> float | None:
    _, colon, wait = request.fault.partition(":")
    if request.status not in (429, 503) or not colon:
        return None
    # A date has whole seconds: up to one of them may be over when it is written.
    return float(wait.removeprefix("date+")) - (1.0 if wait.startswith("date+") else 0.0)


def _within(stage: Stage, tree: Tree, path: bytes) -> bytes:
    full = os.path.join(os.fsencode(stage.folder), path)
    return os.path.relpath(full, os.fsencode(tree.folder))


@cache
def _requests(text: str, line: int) -> tuple[Request, ...]:
    values = json.loads(text)
    bundled = values.pop("bulk_files", [])
    if not bundled:
        return (_request(values, line, bundled=False),)
    # Of several files these faults are about the first one.
    of_others = "" if values.get("fault") in ("left-out", "renamed") else values.get("fault", "")
    return tuple(
        _request({**values, **one} | ({"fault": of_others} if number else {}), line, bundled=True)
        for number, one in enumerate(bundled)
    )


def _request(values: dict[str, Any], line: int, *, bundled: bool) -> Request:
    return Request(
        kind=values["kind"],
        number=values["number"],
        line=line,
        at_s=datetime.fromisoformat(values["time"]).timestamp(),
        method=values.get("method", ""),
        path=values.get("path", ""),
        status=values.get("status"),
        fault=values.get("fault", ""),
        complete=values.get("complete", False),
        filename=values.get("filename"),
        file_bytes=values.get("file_bytes"),
        sha256=values.get("sha256"),
        purpose=values.get("purpose"),
        file_id=values.get("file_id"),
        bundled=bundled,
    )


def _row(values: dict[str, Any]) -> Row:
    return Row(
        path=os.fsencode(values["path"]),
        status=values["status"],
        file_id=values["file_id"],
        file_bytes=None if values["bytes"] is None else int(values["bytes"]),
        sha256=values["sha256"],
        sent_name=values["sent_name"],
        attempts=int(values["attempts"]),
        reason=values["reason"],
    )
