"""Files of bulk-upload's own are recognised by their content; data never is one."""

from __future__ import annotations

import json

import pytest

from bulk_upload.core.folder.own_files import kind_of_own, kind_of_own_by_name
from bulk_upload.core.report.export import COLUMNS
from tests.core.folder.test_likeness import EXAMPLES, lines

LEDGER = b"SQLite format 3\0".ljust(68, b"\0") + b"bulk" + b"\0" * 28


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (LEDGER, "a ledger"),
        (LEDGER.replace(b"bulk", b"\0\0\0\0"), None),
        (",".join(COLUMNS).encode() + b"\n", "results"),
        (b"path,purpose\na.jsonl,fine-tune\n", "a manifest"),
        (b"sep=;\npath;purpose\na.jsonl;fine-tune\n", "a manifest"),
        (b"path,text\na.jsonl,fine-tune\n", None),
        (lines({"path": "a", "purpose": "fine-tune"}), "a manifest"),
        (lines({"path": "a", "purpose": "of-a-later-version"}), "a manifest"),
        (lines({"path": "a"}), "a manifest"),
        (b"\xef\xbb\xbf" + lines({"path": "a", "purpose": "pre-train"}), "a manifest"),
        (lines({"path": "a.wav", "sentence": "an audio data set"}), None),
        (lines({"text": "the path", "purpose": "fine-tune"}), None),
        (lines(dict.fromkeys(COLUMNS)), "results"),
        (lines({"v": 1, "at": "2026", "level": "info", "event": "run_started"}), "a log"),
        (b"v=1 at=2026-01-01T00:00:00Z level=info event=run_started\n", "a log"),
        (
            lines({"file": "a", "line": 1, "rule": "x", "severity": "error", "found": "", "remedy": ""}),
            "findings",
        ),
        (b"# HELP bulk_upload_run_info The run.\n", "metrics"),
        (b"# HELP node_cpu The CPU.\n", None),
        (b"<!doctype html>\n<head><title>Upload report</title>", "a report"),
        (b"<!doctype html>\n<head><title>Report</title>", None),
        (b"", None),
        (b"\n\n", None),
        (b"{", None),
        (b"\0path", None),
    ],
)
def test_by_content(content: bytes, kind: str | None) -> None:
    """The content decides, whatever the name."""
    assert kind_of_own("some/thing", content) == kind


@pytest.mark.parametrize("purpose", EXAMPLES)
def test_data_is_never_ours(purpose: str) -> None:
    """No example of any purpose is taken for a file of ours, whatever words are in it."""
    for words in ('"path"', "purpose", '"file_id" "event" "remedy"'):
        text = json.dumps(EXAMPLES[purpose]).replace("Why?", json.dumps(words)[1:-1])
        assert kind_of_own("a.jsonl", f"{text}\n".encode()) is None


def test_parquet_by_columns() -> None:
    """An export is recognised in Parquet, too."""
    assert kind_of_own("a.parquet", b"PAR1\0", columns=(*COLUMNS, "of_a_later_version")) == "results"
    assert kind_of_own("a.parquet", b"PAR1\0", columns=("messages",)) is None


def test_by_name() -> None:
    """Names that a run makes beside a folder are ours even if the content is gone; others are not."""
    names = ["a.ledger.db", "x/a@h-1.ledger.db-wal", "a.ledger.db.lock", "a.ledger.db.v3.backup"]
    assert [kind_of_own_by_name(name) for name in names] == ["a ledger", *["of a ledger"] * 3]
    assert kind_of_own_by_name("ledger.db") is None
    assert kind_of_own_by_name("a.ledger.db.jsonl") is None
    assert kind_of_own("x/bulk-upload.toml", b"[defaults]\n") == "settings"
    assert kind_of_own("a.jsonl.lineage.json", b'{"made_by": "bulk-upload 1.0"}') == "a lineage"
