"""Rows of Parquet files: judged as lines are, a column at a time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk_upload.core.purposes import PURPOSES, Purpose
from bulk_upload.core.shapes.command import ConvertCommand
from bulk_upload.core.validation.line_schema import LineRules
from bulk_upload.core.validation.report import FileReport
from bulk_upload.edge.validation.reading import CheckTask, check_file

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

CHAT, PREFERENCE, REINFORCEMENT, PRETRAIN, _ = PURPOSES.values()

MESSAGE = pa.struct(
    [("role", pa.string()), ("content", pa.string()), ("weight", pa.int64()), ("tool_call_id", pa.string())]
)
COLUMNS = {
    "messages": pa.list_(MESSAGE),
    "chosen": pa.large_list(pa.struct([("content", pa.large_string()), ("role", pa.string())])),
    "rejected": pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])),
    "reference_answer": pa.large_string(),
    "text": pa.string(),
    "system": pa.string(),
}


def look(path: Path, purpose: Purpose) -> FileReport:
    """Check a file on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    command = ConvertCommand(file=path.name, purpose=purpose.name)
    task = CheckTask(path=path.name, purpose=purpose, known=tuple(PURPOSES.values()), command=command)
    try:
        return check_file(descriptor, task)
    finally:
        os.close(descriptor)


def written(path: Path, rows: list[dict[str, Any]], names: list[str], **options: Any) -> Path:
    """Write rows with the usual types of columns."""
    schema = pa.schema([(name, COLUMNS[name]) for name in names])
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), path, **options)
    return path


def turn(role: str | None, content: str | None, **more: Any) -> dict[str, Any]:
    """Return a message."""
    return {"role": role, "content": content, **more}


GOOD = [turn("user", "a"), turn("assistant", "b")]


@pytest.mark.parametrize(
    ("purpose", "bad", "rule", "place"),
    [
        (CHAT, {"messages": [turn("human", "a"), turn("assistant", "b")]}, "wrong-role", "$.messages[0].role"),
        (CHAT, {"messages": [turn("user", "a"), turn(None, "b")]}, "wrong-type", "$.messages[1].role"),
        (CHAT, {"messages": [turn("user", None), turn("assistant", "b")]}, "wrong-type", "$.messages[0].content"),
        (CHAT, {"messages": [turn("user", " "), turn("assistant", "b")]}, "empty-content", "$.messages[0].content"),
        (CHAT, {"messages": None}, "wrong-type", "$.messages"),
        (CHAT, {"messages": []}, "empty-messages", "$.messages"),
        (CHAT, {"messages": [turn("user", "a")]}, "no-assistant", "$.messages"),
        (CHAT, {"messages": [*GOOD, turn("user", "a")]}, "last-role", "$.messages[2].role"),
        (CHAT, {"messages": [turn("user", "a"), turn("assistant", "b", weight=5)]}, "bad-weight", "$.messages[1].weight"),
        (CHAT, {"messages": GOOD, "system": "Be brief."}, "system-beside-messages", "$.system"),
        (PRETRAIN, {"text": ""}, "empty-content", "$.text"),
        (PRETRAIN, {"text": None}, "wrong-type", "$.text"),
        (PREFERENCE, {"messages": [GOOD[0]], "chosen": [GOOD[1]], "rejected": [GOOD[1]]}, "same-answers", "$.rejected"),
        (PREFERENCE, {"messages": GOOD, "chosen": [GOOD[1]], "rejected": [turn("assistant", "c")]}, "answer-in-messages", "$.messages[1]"),
        (REINFORCEMENT, {"messages": GOOD, "reference_answer": "b"}, "answer-in-messages", "$.messages[1]"),
    ],
)  # fmt: skip
def test_a_bad_row_is_found_by_its_number(
    tmp_path: Path, purpose: Purpose, bad: dict[str, Any], rule: str, place: str
) -> None:
    """With the rules and the places that a line would have, among good rows, in whichever batch it comes."""
    good = {
        "messages": [GOOD[0]] if purpose is not CHAT else GOOD,
        "chosen": [turn("assistant", "yes")],
        "rejected": [turn("assistant", "no")],
        "reference_answer": "42",
        "text": "words",
    }
    names = [*purpose.schema.required_names, "system"] if purpose is not PRETRAIN else ["text"]
    rows = [good, good, bad, good]
    report = look(written(tmp_path / "a.parquet", rows, names, row_group_size=2), purpose)
    found = [(one.rule, one.line_no, one.place) for one in report.findings if one.rule != "unusual-suffix"]
    assert found == [(rule, 3, place)]
    assert report.line_count == 4


_TEXTS = st.sampled_from(["a", "b", "", " ", None])
_MESSAGES = st.none() | st.lists(
    st.builds(
        turn,
        st.sampled_from(["user", "assistant", "assistant", "system", "tool", None]),
        _TEXTS,
        weight=st.sampled_from([None, None, 0, 1, 7]),
        tool_call_id=st.sampled_from([None, None, "x"]),
    ),
    max_size=4,
)
_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "messages": _MESSAGES,
            "chosen": _MESSAGES,
            "rejected": _MESSAGES,
            "reference_answer": _TEXTS,
            "text": _TEXTS,
            "system": _TEXTS,
        }
    ),
    min_size=1,
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from([CHAT, PREFERENCE, REINFORCEMENT, PRETRAIN]), _ROWS)
def test_what_is_screened_out_has_no_findings(
    tmp_path: Path, purpose: Purpose, rows: list[dict[str, Any]]
) -> None:
    """All rows together have the findings that each has by the rules for lines."""
    names = [*purpose.schema.required_names, "system"]
    path = written(tmp_path / "a.parquet", rows, names)
    expected = []
    for number, row in enumerate(parquet.read_table(path).to_pylist(), start=1):
        for one in LineRules(purpose.schema).complaints(row):
            expected.append((number, one.rule, one.place))
    found = [
        (one.line_no, one.rule, one.place)
        for one in look(path, purpose).findings
        if one.rule != "unusual-suffix"
    ]
    assert found == expected


def test_no_remedy_is_a_command_that_reads_no_parquet(tmp_path: Path) -> None:
    """What a conversion of lines would put right is said without the command."""
    path = written(
        tmp_path / "a.parquet", [{"messages": [turn("human", "a"), turn("gpt", "b")]}], ["messages"]
    )
    assert [one.remedy for one in look(path, CHAT).findings] == [
        'Write "user" for it',
        'Write "assistant" for it',
    ]


def test_columns_of_another_type(tmp_path: Path) -> None:
    """JSON in strings, and numbers for texts: each row is wrong, and what it is is said."""
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"messages": ['[{"role": "user"}]'] * 3}), path)
    report = look(path, CHAT)
    assert report.counts == {"wrong-type": 3}
    assert "JSON inside a string" in report.findings[0].remedy
    parquet.write_table(pa.table({"text": [1, 2]}), path)
    assert look(path, PRETRAIN).counts["wrong-type"] == 2


def test_a_page_that_is_damaged(tmp_path: Path) -> None:
    """The footer is good and some rows are not: a finding says which, and the others are judged."""
    rows = [{"text": f"some words {number}" * 20} for number in range(4000)]
    rows[0] = rows[-1] = {"text": ""}
    path = written(
        tmp_path / "a.parquet",
        rows,
        ["text"],
        row_group_size=1000,
        write_page_checksum=True,
        use_dictionary=False,
    )
    group = parquet.read_metadata(path).row_group(2).column(0)
    content = bytearray(path.read_bytes())
    middle = group.data_page_offset + group.total_compressed_size // 2
    content[middle : middle + 200] = b"\xff" * 200
    path.write_bytes(content)
    report = look(path, PRETRAIN)
    assert [(one.rule, one.line_no) for one in report.findings if one.rule != "unusual-suffix"] == [
        ("empty-content", 1),
        ("bad-parquet", 2001),
        ("empty-content", 4000),
    ]
    (bad,) = [one for one in report.findings if one.rule == "bad-parquet"]
    assert bad.found.startswith("rows 2,001 to 3,000 cannot be read: ")
