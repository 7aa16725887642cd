"""What counts as a difference between a receipt and the server, and what as a stranger of this job."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bulk_upload.core.api.server_clock import MEASURED_S_MAX
from bulk_upload.core.doubt.content import ReadBack
from bulk_upload.core.model import ListedFile
from bulk_upload.core.run.verify import (
    AnsweredUpload,
    DifferenceKind,
    HeldReceipt,
    LookAlike,
    content_difference,
    differences,
    made_by_attempt,
    offset_by_uploads,
    stranger,
)
from bulk_upload.core.text.timestamps import utc_text

NOW_S = 1_780_000_000.0
RECEIPT = HeldReceipt(
    receipt_id=1,
    entry_id=1,
    path="a/b.jsonl",
    file_id="file-1",
    sent_name="b.jsonl",
    purpose="fine-tune",
    file_bytes=10,
    content_hash="a" * 64,
    superseded=False,
)
FILE = ListedFile(
    file_id="file-1", filename="b.jsonl", bytes=10, purpose="fine-tune", created_at=utc_text(NOW_S)
)
ALIKE = LookAlike(
    file=replace(FILE, file_id="file-2"),
    attempt_id=1,
    unanswered=True,
    entry_id=1,
    path="a/b.jsonl",
    file_bytes=10,
    has_receipt=True,
    sent_at_utc_s=NOW_S - 1,
    ended_at_utc_s=NOW_S + 1,
    content_hash="a" * 64,
)


def kinds(found: ListedFile | None) -> list[DifferenceKind]:
    return [one.kind for one in differences(RECEIPT, found)]


def test_a_file_that_is_what_was_sent_has_no_difference() -> None:
    """Name, size and purpose agree."""
    assert kinds(FILE) == []


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (None, DifferenceKind.MISSING),
        (replace(FILE, filename="c.jsonl"), DifferenceKind.RENAMED),
        (replace(FILE, bytes=11), DifferenceKind.RESIZED),
        (replace(FILE, purpose="pre-train"), DifferenceKind.REPURPOSED),
    ],
    ids=lambda value: value.value if isinstance(value, DifferenceKind) else "",
)
def test_each_way_to_differ_has_its_name(found: ListedFile | None, kind: DifferenceKind) -> None:
    """One change, one difference, which names entry and file."""
    (one,) = differences(RECEIPT, found)
    assert (one.kind, one.path, one.file_id) == (kind, "a/b.jsonl", "file-1")


def test_all_that_differs_is_told() -> None:
    """A file that is another one in every respect has three differences."""
    assert len(kinds(ListedFile(file_id="file-1", filename="x", bytes=1, purpose="y"))) == 3


def test_what_the_server_does_not_tell_cannot_differ() -> None:
    """A list without names, sizes and purposes still proves that the file exists."""
    assert kinds(ListedFile(file_id="file-1")) == []


def test_content_is_compared_by_hash() -> None:
    """The same hash is no difference; another one is, and so is content that cannot be read back."""
    assert content_difference(RECEIPT, ReadBack(hashes=("a" * 64,), read_bytes=1)) is None
    for back, words in (
        (ReadBack(hashes=("b" * 64,), read_bytes=1), f"the server returned sha256 {'b' * 64}"),
        (ReadBack(read_bytes=0, total_bytes=7), "bytes were sent, the server returned 7"),
        (ReadBack(read_bytes=0, reason="the server returns no content, HTTP 404"), "HTTP 404"),
    ):
        different = content_difference(RECEIPT, back)
        assert different is not None
        assert different.kind is DifferenceKind.CONTENT
        assert words in different.detail


def kind_of(
    one: LookAlike, *, began_s: float = NOW_S - 3600, offset_s: float | None = 0.0
) -> DifferenceKind | None:
    found = stranger(one, job_began_utc_s=began_s, clock_offset_s=offset_s)
    return None if found is None else found.kind


def test_a_second_copy_is_a_duplicate_and_an_unknown_one_an_orphan() -> None:
    """It depends on whether the entry it looks like has a receipt."""
    assert kind_of(ALIKE) is DifferenceKind.DUPLICATE
    assert kind_of(replace(ALIKE, has_receipt=False)) is DifferenceKind.ORPHAN


def test_a_copy_that_no_lost_answer_explains_may_be_another_jobs() -> None:
    """The attempt was answered, or the copy was made at another time: a second ledger may have sent it."""
    later = replace(ALIKE, file=replace(ALIKE.file, created_at=utc_text(NOW_S + 7200)))
    for one, ours in ((ALIKE, True), (replace(ALIKE, unanswered=False), False), (later, False)):
        found = stranger(one, job_began_utc_s=NOW_S - 3600, clock_offset_s=0.0)
        assert found is not None
        assert found.of_this_job is ours
        assert ("may belong to another job" in found.detail) is not ours


def test_another_size_is_a_copy_only_of_an_upload_without_an_answer() -> None:
    """Another job of the same account sent a file of the same name in the same minute: it is none of this job's."""
    other = replace(ALIKE, file=replace(ALIKE.file, bytes=11))
    assert kind_of(other) is DifferenceKind.DUPLICATE
    assert kind_of(replace(other, unanswered=False)) is None
    assert kind_of(replace(other, unanswered=False, has_receipt=False)) is DifferenceKind.ORPHAN


def test_a_file_older_than_the_job_is_none_of_its_business() -> None:
    """Last night's job sent files of the same names; they are not strangers of this one."""
    sent_later = replace(ALIKE, sent_at_utc_s=NOW_S + 90, ended_at_utc_s=NOW_S + 91)
    assert kind_of(sent_later, began_s=NOW_S + 60) is None
    assert kind_of(sent_later, began_s=NOW_S + 60, offset_s=-60) is DifferenceKind.DUPLICATE
    own = replace(sent_later, clock_offset_s=-60.0)
    assert kind_of(own, began_s=NOW_S + 60) is DifferenceKind.DUPLICATE


def test_a_file_of_a_job_whose_clock_was_set_back_since() -> None:
    """The attempt seems to be older than its job; its file is no older than the attempt."""
    assert kind_of(ALIKE, began_s=NOW_S + 86_400) is DifferenceKind.DUPLICATE


def test_an_attempt_is_judged_by_the_offset_of_its_own_time() -> None:
    """Our clock was an hour behind when it was made; today's offset says nothing of that."""
    behind = replace(ALIKE, sent_at_utc_s=NOW_S - 3601, ended_at_utc_s=NOW_S - 3599)
    assert not made_by_attempt(behind, clock_offset_s=0.0)
    assert made_by_attempt(replace(behind, clock_offset_s=3600.0), clock_offset_s=0.0)
    assert made_by_attempt(replace(behind, clock_offset_s=3600.0), clock_offset_s=None)


def upload(at_s: float, *, lasted_s: float = 1.0, ahead_s: float = 0.0) -> AnsweredUpload:
    """Return an upload whose file was made at its end, at a server whose clock is ahead."""
    return AnsweredUpload(at_s, at_s + lasted_s, at_s + lasted_s + ahead_s)


def test_uploads_show_the_offset_of_their_run() -> None:
    """The smallest one counts; a long upload measures nothing, and can contradict."""
    assert offset_by_uploads([]) is None
    assert offset_by_uploads([upload(NOW_S, lasted_s=MEASURED_S_MAX + 1)]) is None
    several = [upload(NOW_S + 100 * number, ahead_s=3600.0 - number) for number in range(3)]
    assert offset_by_uploads(several) == 3598.0
    assert offset_by_uploads([*several, upload(NOW_S, lasted_s=900.0, ahead_s=3900.0)]) is None


@pytest.mark.parametrize("step_s", [-86_400.0, -20.0, 20.0, 3600.0])
def test_uploads_before_and_after_a_step_show_nothing(step_s: float) -> None:
    """No single offset explains both."""
    assert offset_by_uploads([upload(NOW_S), upload(NOW_S + 100 + step_s, ahead_s=-step_s)]) is None


def test_a_later_copy_is_a_stranger_too() -> None:
    """Who uploaded the same file again after the job leaves a copy that a person wants to know of."""
    later = replace(ALIKE, file=replace(ALIKE.file, created_at=utc_text(NOW_S + 7200)))
    assert kind_of(later) is DifferenceKind.DUPLICATE
    assert not made_by_attempt(later, clock_offset_s=0.0)


def test_a_file_of_another_size_is_a_stranger_only_in_the_time_of_the_attempt() -> None:
    """What a broken upload left looks like that; another version of the file, made at another time, does not."""
    broken = replace(ALIKE, file=replace(ALIKE.file, bytes=3))
    assert kind_of(broken) is DifferenceKind.DUPLICATE
    assert kind_of(replace(broken, file=replace(broken.file, created_at=utc_text(NOW_S + 7200)))) is None


def test_without_a_creation_time_a_file_is_a_stranger_but_nobodys_work() -> None:
    """It cannot be ruled out, and it must not be deleted for a duplicate."""
    timeless = replace(ALIKE, file=replace(ALIKE.file, created_at=None))
    assert kind_of(timeless) is DifferenceKind.DUPLICATE
    assert not made_by_attempt(timeless, clock_offset_s=0.0)


def test_while_the_offset_is_unknown_a_file_is_a_stranger_but_nobodys_work() -> None:
    """Its time proves nothing: it is reported, and not deleted for a duplicate."""
    sent_later = replace(ALIKE, sent_at_utc_s=NOW_S + 90)
    assert kind_of(sent_later, began_s=NOW_S + 60, offset_s=None) is DifferenceKind.DUPLICATE
    assert not made_by_attempt(ALIKE, clock_offset_s=None)


def test_an_attempt_whose_end_nobody_recorded_may_have_made_it_at_any_later_time() -> None:
    """A run that died left no end."""
    later = replace(ALIKE, file=replace(ALIKE.file, created_at=utc_text(NOW_S + 7200)), ended_at_utc_s=None)
    assert made_by_attempt(later, clock_offset_s=0.0)
