"""A survey of a file: the same numbers whatever the file is packed in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bulk_upload.core.dataset.statistics import Statistics
from bulk_upload.core.validation.report import FileReport
from bulk_upload.core.validation.rules import RuleChoice
from bulk_upload.edge.validation.survey import surveyor
from bulk_upload.edge.validation.survey.digests import Spool
from bulk_upload.edge.validation.survey.task import SurveyTask
from tests.edge.validation.survey.stage import survey

COUNTS = SurveyTask(counts=True)
RECORDS = [
    {
        "messages": [
            {"role": "user", "content": f"Grüße {number % 3}"},
            {"role": "assistant", "content": "x" * number},
        ]
    }
    for number in range(1, 9)
]


def lines_of(records: list[Any]) -> bytes:
    """Return records as JSON Lines."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in records)


def statistics_of(report: FileReport) -> Statistics:
    """Return the statistics of a file, as if its name were another."""
    assert report.facts is not None
    found = report.facts.statistics
    assert found is not None
    assert found.longest is not None
    found.longest = replace(found.longest, path="data")
    return found


def written(folder: Path, name: str) -> Path:
    """Write the records in the form that a name asks for."""
    path = folder / name
    lines = lines_of(RECORDS)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(lines))
    elif name.endswith(".zst"):
        path.write_bytes(pytest.importorskip("zstandard").compress(lines))
    elif name.endswith(".parquet"):
        pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pa.Table.from_pylist(RECORDS), path, row_group_size=3)
    elif name == "array.jsonl":
        path.write_bytes(json.dumps(RECORDS, indent=1).encode())
    elif name == "marked.jsonl":
        path.write_bytes(b"\xef\xbb\xbf" + lines.replace(b"\n", b"\r\n"))
    else:
        path.write_bytes(lines)
    return path


@pytest.mark.parametrize(
    "name", ["lines.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet", "array.jsonl", "marked.jsonl"]
)
def test_every_packing_has_the_same_statistics(tmp_path: Path, name: str) -> None:
    """And the same hashes, so that examples of one file are found in another of another kind."""
    found = statistics_of(survey(written(tmp_path, name), COUNTS))
    assert found == statistics_of(survey(written(tmp_path, "plain.jsonl"), COUNTS))
    assert found.longest is not None
    assert (found.example_count, found.other_count, found.longest.line_no) == (8, 0, 8)
    with Spool(has_groups=False) as spool:
        task = SurveyTask(digest_folder=spool.folder)
        for number, one in enumerate((name, "plain.jsonl")):
            facts = survey(written(tmp_path, one), task).facts
            assert facts is not None
            spool.take(facts, number)
        assert spool.compare().across.count == len(RECORDS)


def test_pieces_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics do not depend on where the pieces that are read end."""
    path = written(tmp_path, "plain.jsonl")
    whole = statistics_of(survey(path, COUNTS))
    monkeypatch.setattr(surveyor, "HEAD_BYTES", 10)
    monkeypatch.setattr("bulk_upload.edge.validation.reading.READ_BYTES", 7)
    assert statistics_of(survey(path, COUNTS)) == whole


def test_bad_lines_are_not_counted(tmp_path: Path) -> None:
    """Lines that are no examples are told apart, and validation finds what it always finds."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines_of(RECORDS[:2]) + b"{]\n\n" + b'{"text": "a"}\n' + lines_of(RECORDS[2:3]))
    report = survey(path, COUNTS)
    found = statistics_of(report)
    assert (found.example_count, found.other_count) == (3, 2)
    assert found.longest is not None
    assert found.longest.line_no == 6
    assert report.counts == {"bad-json": 1, "blank-line": 1, "missing-key": 1, "wrong-purpose": 1}


def test_without_a_survey_there_are_no_facts(tmp_path: Path) -> None:
    """What was not asked for is not made."""
    facts = survey(written(tmp_path, "plain.jsonl"), SurveyTask(scans_secrets=True)).facts
    assert facts is not None
    assert (facts.statistics, facts.digests, facts.digest_file) == (None, b"", None)


@pytest.fixture
def tokenizer(tmp_path: Path) -> str:
    """A tokenizer of words, with limits of a model that would hide longer texts."""
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"x": 0, "?": 1}, unk_token="?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    made.enable_truncation(2)
    made.enable_padding(length=2)
    path = tmp_path / "tokenizer.json"
    made.save(str(path))
    return str(path)


def test_tokens_are_counted(tmp_path: Path, tokenizer: str) -> None:
    """All of every text, and examples over the limit are found with their lines."""
    path = tmp_path / "a.jsonl"
    counts = [3, 9, 1, 12]
    path.write_bytes(
        lines_of(
            [
                {
                    "messages": [
                        {"role": "user", "content": "x " * (one - 1)},
                        {"role": "assistant", "content": "y"},
                    ]
                }
                for one in counts
            ]
        )
    )
    report = survey(path, SurveyTask(counts=True, tokenizer=tokenizer, max_tokens=8))
    found = statistics_of(report)
    assert (found.tokens.total, found.tokens.most, found.over_count) == (sum(counts), 12, 2)
    assert found.longest_in_tokens is not None
    assert found.longest_in_tokens.line_no == 4
    over = [(one.line_no, one.found) for one in report.findings if one.rule == "too-many-tokens"]
    assert over == [
        (line_no, f"the example has {count} tokens, the limit is 8") for line_no, count in ((2, 9), (4, 12))
    ]
    assert report.is_valid
    raised = RuleChoice(errors=frozenset({"too-many-tokens"}))
    task = SurveyTask(tokenizer=tokenizer, max_tokens=8)
    assert survey(path, task, choice=raised).error_count == 2
