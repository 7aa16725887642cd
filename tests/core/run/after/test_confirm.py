"""What the server's list says about the receipts of a run."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bulk_upload.core.model import ListedFile
from bulk_upload.core.run.after.confirm import (
    FILES_MAX,
    FILES_MIN,
    ListEvidence,
    Mismatch,
    Reach,
    Verdict,
    is_passing,
    requests_max,
)
from bulk_upload.core.run.reconcile import CLOCK_TOLERANCE_S
from bulk_upload.core.run.verify import HeldReceipt
from bulk_upload.core.text.timestamps import utc_text

BEGAN_S = 1_781_775_000.0


def receipt(
    number: int, *, name: str | None = None, size: int = 10, purpose: str = "fine-tune"
) -> HeldReceipt:
    """The receipt of one upload."""
    return HeldReceipt(
        receipt_id=number,
        entry_id=number,
        path=f"{number}.jsonl",
        file_id=f"file-{number}",
        sent_name=name or f"{number}.jsonl",
        purpose=purpose,
        file_bytes=size,
        content_hash=None,
        superseded=False,
    )


def shown(one: HeldReceipt, **changes: object) -> ListedFile:
    """The file of a receipt as a list shows it."""
    file = ListedFile(file_id=one.file_id, filename=one.sent_name, bytes=one.file_bytes, purpose=one.purpose)
    return replace(file, **changes)


def verdicts(
    *pairs: tuple[HeldReceipt, ListedFile], keeps_names: bool = True, is_last: bool = True
) -> list[Verdict]:
    """Return what a list says about each receipt once all were compared."""
    evidence = ListEvidence(keeps_names=keeps_names)
    mismatches = [evidence.compare(one, file) for one, file in pairs]
    return [evidence.judge(one, is_last=is_last) for one in mismatches]


def crossed(*receipts: HeldReceipt) -> list[tuple[HeldReceipt, ListedFile]]:
    """Return receipts of which each is for the file that the next one sent."""
    files = [shown(one) for one in (*receipts[1:], receipts[0])]
    return [(one, replace(file, file_id=one.file_id)) for one, file in zip(receipts, files, strict=True)]


def test_what_the_list_leaves_out_contradicts_nothing() -> None:
    """A field that is not shown cannot differ."""
    assert verdicts((receipt(1), ListedFile(file_id="file-1"))) == [Verdict.AGREES]


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_crossed_answers_are_contradicted(count: int) -> None:
    """However many of a run's answers were crossed, names or sizes show it; also where none is shown as it was sent."""
    others = [receipt(100 + number) for number in range(3)]
    by_name = [receipt(number) for number in range(max(2, count))]
    assert set(verdicts(*crossed(*by_name))) == {Verdict.CONTRADICTS}
    by_size = [
        replace(receipt(number, name="same.jsonl"), file_bytes=number) for number in range(max(2, count))
    ]
    assert set(verdicts(*crossed(*by_size), keeps_names=False)) == {Verdict.CONTRADICTS}
    mixed = verdicts(*crossed(*by_name), *((one, shown(one)) for one in others))
    assert mixed[-3:] == [Verdict.AGREES] * 3
    assert set(mixed[:-3]) == {Verdict.CONTRADICTS}


def test_look_alikes_for_two_purposes_are_told_apart() -> None:
    """Where names and sizes are equal, the purpose of another upload of the run is the evidence."""
    one, other = receipt(1, name="a", purpose="fine-tune"), receipt(2, name="a", purpose="pre-train")
    assert verdicts(*crossed(one, other)) == [Verdict.CONTRADICTS] * 2


def test_a_foreign_file_is_contradicted() -> None:
    """An id whose file has a name that this run never sent."""
    fine = [(one, shown(one)) for one in map(receipt, range(5))]
    assert verdicts((receipt(9), shown(receipt(9), filename="theirs.jsonl")), *fine)[0] is Verdict.CONTRADICTS
    assert verdicts((receipt(9), shown(receipt(9), filename="theirs.jsonl"))) == [Verdict.CONTRADICTS]


@pytest.mark.parametrize(
    "changes",
    [{"filename": "0f3c"}, {"bytes": 0}],
)
def test_a_field_that_is_never_shown_as_sent_is_no_evidence(changes: dict[str, object]) -> None:
    """A list that writes names or sizes in its own way says nothing; of too few files that cannot be known."""
    receipts = [receipt(number) for number in range(FILES_MIN)]
    assert verdicts(*((one, shown(one, **changes)) for one in receipts)) == [Verdict.AGREES] * FILES_MIN
    assert Verdict.CONTRADICTS in verdicts(*((one, shown(one, **changes)) for one in receipts[1:]))
    once = (receipt(99), shown(receipt(99)))
    assert verdicts(*((one, shown(one, **changes)) for one in receipts), once)[0] is Verdict.CONTRADICTS


@pytest.mark.parametrize("name", ["F_1.jsonl", "f%1.jsonl", "f-1.JSONL"])
def test_a_respelt_name_is_no_evidence(name: str) -> None:
    """The same letters and digits are the same name to some servers."""
    assert verdicts((receipt(1, name="f 1.jsonl"), shown(receipt(1), filename=name))) == [Verdict.AGREES]


def test_a_name_that_shows_the_key_is_no_evidence() -> None:
    """The key is taken out of what the server shows, so the name is not known."""
    one = receipt(1, name="x-sk-secret.jsonl")
    assert verdicts((one, shown(one, filename="x-[key].jsonl"))) == [Verdict.AGREES]


def test_a_purpose_nobody_sent_is_the_right_file() -> None:
    """The server took the file for something else: the id is the file's all the same."""
    evidence = ListEvidence(keeps_names=True)
    mismatches = evidence.compare(receipt(1), shown(receipt(1), purpose="assistants"))
    assert evidence.judge(mismatches, is_last=False) is Verdict.OPEN
    assert evidence.judge(mismatches, is_last=True) is Verdict.AGREES
    assert evidence.habits() == ["purposes"]


def test_names_of_a_server_that_changes_them_are_no_evidence() -> None:
    """Nor do they hide a size that differs."""
    one = receipt(1)
    assert verdicts((one, shown(one, filename="x")), keeps_names=False) == [Verdict.AGREES]
    found = verdicts((one, shown(one, filename="x", bytes=11)), keeps_names=False)
    assert found == [Verdict.CONTRADICTS]


def test_while_the_habit_is_unknown_a_receipt_is_open() -> None:
    """It is known once one file is shown as sent, or very many are not; then the rest of the list is not kept."""
    evidence = ListEvidence(keeps_names=True)
    first = evidence.compare(receipt(1), shown(receipt(1), filename="x"))
    assert evidence.judge(first, is_last=False) is Verdict.OPEN
    evidence.compare(receipt(2), shown(receipt(2)))
    assert evidence.judge(first, is_last=False) is Verdict.CONTRADICTS
    evidence = ListEvidence(keeps_names=True)
    last: tuple[Mismatch, ...] = ()
    for number in range(FILES_MAX):
        last = evidence.compare(receipt(number), shown(receipt(number), filename=f"x{number}"))
    assert evidence.judge(last, is_last=False) is Verdict.AGREES
    assert evidence.habits() == ["names"]


def test_only_a_size_may_pass() -> None:
    """A server may show a size once it has processed a file; a name it has from the first."""
    size: tuple[Mismatch, ...] = ListEvidence(keeps_names=True).compare(
        receipt(1), shown(receipt(1), bytes=0)
    )
    both = ListEvidence(keeps_names=True).compare(receipt(1), shown(receipt(1), bytes=0, filename="x"))
    assert is_passing(size)
    assert not is_passing(both)


@pytest.mark.parametrize(("attempt_count", "most"), [(1, 10), (99, 10), (100, 11), (10_000, 110)])
def test_the_check_costs_one_percent_and_ten(attempt_count: int, most: int) -> None:
    """The check of a small run is a few requests, that of a large one a hundredth of it."""
    assert requests_max(attempt_count) == most


def test_how_far_a_list_was_read() -> None:
    """It should show what was sent surely after its oldest file, by times that have a zone and descend."""

    def page(*ages_s: float) -> list[ListedFile]:
        return [ListedFile(file_id=f"{age}", created_at=utc_text(BEGAN_S - age)) for age in ages_s]

    reach = Reach()
    assert not reach.should_show(BEGAN_S, clock_offset_s=0.0)
    reach.read(page(0, 10))
    reach.read(page(9, 60))
    assert reach.reached_s == BEGAN_S - 60
    assert reach.should_show(BEGAN_S - 50, clock_offset_s=0.0)
    assert not reach.should_show(BEGAN_S - 60 + CLOCK_TOLERANCE_S, clock_offset_s=0.0)
    assert not reach.should_show(BEGAN_S - 50, clock_offset_s=-60.0)
    assert not reach.should_show(BEGAN_S, clock_offset_s=None)
    reach.read(page(0))
    assert reach.reached_s is None


@pytest.mark.parametrize("created_at", [None, "yesterday", "2026-06-18T09:30:00"])
def test_times_that_say_nothing(created_at: str | None) -> None:
    """A time without a zone may be hours off."""
    reach = Reach()
    reach.read([ListedFile(file_id="file-1", created_at=created_at)])
    assert reach.reached_s is None
