"""Files of another purpose than the one declared: named once, by the first lines or the columns."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.purposes import PURPOSES, Purpose, unknown_to_us
from bulk_upload.core.validation.checker import Checker
from bulk_upload.core.validation.mixup.sample import mismatch_of_beginning, mismatch_of_columns
from bulk_upload.core.validation.rules import RuleChoice
from tests.core.data_samples import (
    ALIGNMENT,
    CHAT,
    PREFERENCE,
    PRETRAIN,
    REINFORCEMENT,
    check,
    found,
    good,
    sample,
)


def test_another_purpose_is_named() -> None:
    """A file whose lines another purpose describes better is of that purpose, right or wrong as they are: nothing else is said."""
    for declared, data, likely in (
        (CHAT, good(PREFERENCE, 3), PREFERENCE),
        (CHAT, good(REINFORCEMENT, 3), REINFORCEMENT),
        (CHAT, good(PRETRAIN, 3), PRETRAIN),
        (PREFERENCE, good(CHAT, 3), CHAT),
        (PRETRAIN, good(CHAT, 3), CHAT),
    ):
        report = check(declared, data)
        (one,) = report.findings
        assert one.rule == "purpose-mismatch"
        assert f"this is {likely.name} data: all of the first 3 lines have" in one.found
        assert f"Set the purpose {likely.name}" in one.remedy
        assert report.counts == {"purpose-mismatch": 1}
    assert found(ALIGNMENT, good(CHAT, 3)) == []


@pytest.mark.parametrize(
    ("pre_train_count", "chat_count", "is_mismatch"),
    [(11, 9, True), (10, 10, False), (20, 500, True), (1, 0, True)],
)
def test_over_half_of_the_first_lines_decide(
    pre_train_count: int, chat_count: int, is_mismatch: bool
) -> None:
    """Of a file that is half and half each line is judged, and the lines of another purpose are named."""
    data = good(PRETRAIN, pre_train_count) + good(CHAT, chat_count)
    report = check(CHAT, data)
    if is_mismatch:
        assert report.counts == {"purpose-mismatch": 1}
    else:
        assert report.counts == {"missing-key": pre_train_count, "wrong-purpose": pre_train_count}
    beginning = mismatch_of_beginning(
        data, is_whole=True, path="a.jsonl", declared=CHAT, known=PURPOSES.values()
    )
    assert (beginning is not None) is is_mismatch


def test_a_line_with_what_only_its_purpose_needs_is_no_mismatch() -> None:
    """A pair of answers without the rejected one is a bad line, not a conversation to learn from."""
    data = b"".join(
        json.dumps(
            {key: value for key, value in sample(PREFERENCE, number).items() if key != "rejected"}
        ).encode()
        + b"\n"
        for number in range(3)
    )
    assert check(PREFERENCE, data).counts["missing-key"] == 3


def test_a_file_that_begins_as_declared_is_no_mismatch() -> None:
    """Its other lines are judged one by one."""
    assert check(CHAT, good(CHAT, 1) + good(PRETRAIN, 5)).counts["missing-key"] == 5


@given(
    kinds=st.lists(st.sampled_from([CHAT, PREFERENCE, PRETRAIN, None]), max_size=30),
    declared=st.sampled_from([CHAT, PREFERENCE, PRETRAIN, ALIGNMENT]),
    cut=st.integers(1, 4000),
)
def test_the_first_lines_alone_say_the_same(kinds: list[Purpose | None], declared: Purpose, cut: int) -> None:
    """What a run says before its first byte is what validation says of the file, wherever the pieces end."""
    data = b"".join(
        b"{]\n" if kind is None else json.dumps(sample(kind, number)).encode() + b"\n"
        for number, kind in enumerate(kinds)
    )
    checker = Checker(declared, where="f.jsonl")
    for start in range(0, len(data), cut):
        checker.feed(data[start : start + cut])
    checker.finish()
    said = mismatch_of_beginning(
        data, is_whole=True, path="a.jsonl", declared=declared, known=PURPOSES.values()
    )
    found = [one.found for one in checker.report().findings if one.rule == "purpose-mismatch"]
    assert found == ([] if said is None else [said.found])
    assert checker.report() == check(declared, data)


@pytest.mark.parametrize(
    ("columns", "declared", "likely"),
    [
        (["text", "id"], CHAT, PRETRAIN),
        (["messages", "chosen", "rejected"], CHAT, PREFERENCE),
        (["messages", "id"], CHAT, None),
        (["text", "input_ids"], CHAT, None),
        (["id"], CHAT, None),
        (["text"], unknown_to_us("else"), None),
    ],
)
def test_columns_of_a_table_name_its_purpose(
    columns: list[str], declared: Purpose, likely: Purpose | None
) -> None:
    """As lines do; a file of tokens may have its texts beside them."""
    complaint = mismatch_of_columns(columns, declared, PURPOSES.values())
    assert (complaint is None) is (likely is None)
    if complaint is not None and likely is not None:
        assert f"this is {likely.name} data: it has the columns" in complaint.found


def test_without_the_rule_each_line_is_judged() -> None:
    """Ignoring a mismatch makes no line right."""
    choice = RuleChoice(ignored=frozenset({"purpose-mismatch"}))
    for data, counts in (
        (good(PREFERENCE, 3), {"wrong-purpose": 1, "no-assistant": 3}),
        (good(PRETRAIN, 3), {"missing-key": 3, "wrong-purpose": 3}),
    ):
        checker = Checker(CHAT, where="a", choice=choice)
        checker.feed(data)
        checker.finish()
        assert checker.report().counts == counts
