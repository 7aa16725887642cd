"""What `doctor` makes of what it measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.report.doctor_checks import (
    CLOCK_OFFSET_S_MAX,
    DESCRIPTORS_MIN,
    FREE_BYTES_COMFORTABLE,
    FREE_BYTES_MIN,
    Grade,
    answered,
    clock,
    descriptors,
    exit_status_of,
    fine,
    free_space,
    problem,
)
from bulk_upload.exit_status import ExitStatus

OK, WARNING, PROBLEM = Grade.OK, Grade.WARNING, Grade.PROBLEM


def test_limits_belong_to_the_better_side() -> None:
    """Exactly enough is enough."""
    assert descriptors(DESCRIPTORS_MIN).verdict is OK
    assert descriptors(DESCRIPTORS_MIN - 1).verdict is WARNING
    assert free_space(FREE_BYTES_COMFORTABLE, "/").verdict is OK
    assert free_space(FREE_BYTES_COMFORTABLE - 1, "/").verdict is WARNING
    assert free_space(FREE_BYTES_MIN - 1, "/").verdict is PROBLEM


@pytest.mark.parametrize(
    ("offset_s", "grade", "words"),
    [
        (0.4, OK, "within 2.0 s"),
        (-CLOCK_OFFSET_S_MAX, OK, "within 1 min"),
        (600.0, WARNING, "10 min 00 s behind"),
        (-600.0, WARNING, "10 min 00 s ahead of"),
        (None, WARNING, "does not report"),
    ],
)
def test_clock(offset_s: float | None, grade: Grade, words: str) -> None:
    """A clock that is wrong is told with its side."""
    check = clock(offset_s)
    assert (check.verdict, words in check.words) == (grade, True)


@pytest.mark.parametrize(
    ("http_status", "can_list", "grades", "exit_status"),
    [
        (None, True, {"server": PROBLEM}, ExitStatus.UNFINISHED),
        (401, True, {"server": OK, "key accepted": PROBLEM}, ExitStatus.CREDENTIALS_REFUSED),
        (403, False, {"server": OK, "key accepted": PROBLEM}, ExitStatus.CREDENTIALS_REFUSED),
        (404, True, {"server": PROBLEM}, ExitStatus.UNFINISHED),
        (405, False, {"server": OK, "key accepted": WARNING}, ExitStatus.DONE),
        (302, True, {"server": PROBLEM}, ExitStatus.UNFINISHED),
        (429, True, {"server": WARNING}, ExitStatus.DONE),
        (503, True, {"server": PROBLEM}, ExitStatus.UNFINISHED),
        (500, False, {"server": OK, "key accepted": WARNING}, ExitStatus.DONE),
        (200, True, {"server": PROBLEM}, ExitStatus.UNFINISHED),
    ],
)
def test_answers(
    http_status: int | None, can_list: bool, grades: dict[str, Grade], exit_status: ExitStatus
) -> None:
    """An answer that is no list says something of the server or of the key, and what to do."""
    checks = answered(http_status, "words", can_list=can_list)
    assert {one.name: one.verdict for one in checks} == grades
    assert exit_status_of(checks) is exit_status
    assert all(one.remedy for one in checks if one.verdict is not OK)


@given(st.lists(st.sampled_from([None, ExitStatus.USAGE, ExitStatus.UNFINISHED, ExitStatus.LEDGER_UNUSABLE])))
def test_the_gravest_problem_counts(found: list[ExitStatus | None]) -> None:
    """No problem is 0; the ledger's is graver than the server's, and a mistake of usage counts where it is alone."""
    checks = [fine("a", "b") if one is None else problem("a", "b", None, one) for one in found]
    order = (ExitStatus.LEDGER_UNUSABLE, ExitStatus.UNFINISHED, ExitStatus.USAGE)
    assert exit_status_of(checks) is next((one for one in order if one in found), ExitStatus.DONE)
