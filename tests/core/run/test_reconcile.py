"""What the server's list says about an upload whose answer was lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.api.server_habits import ServerHabits
from bulk_upload.core.model import ListedFile
from bulk_upload.core.run.reconcile import (
    Absent,
    Found,
    NotYet,
    Undecided,
    matches,
)
from bulk_upload.core.text.timestamps import utc_seconds, utc_text
from tests.core.run.reconciled import DOUBT, OURS, SENT_AT_S, SETTLES_AT_S, verdict


@pytest.mark.parametrize("listed_at_s", [SENT_AT_S, SETTLES_AT_S, SETTLES_AT_S + 1000])
def test_exactly_one(listed_at_s: float) -> None:
    """One unclaimed file that agrees in every field is the upload, as soon as it shows."""
    assert verdict(OURS, listed_at_s=listed_at_s) == Found(OURS)


@pytest.mark.parametrize(
    "other",
    [
        replace(OURS, file_id="file-2", filename="other.jsonl"),
        replace(OURS, file_id="file-2", filename="data-2.jsonl"),
        replace(OURS, file_id="file-2", filename="DATA.jsonl", bytes=11),
        replace(OURS, file_id="file-2", bytes=11),
        replace(OURS, file_id="file-2", bytes=0),
        replace(OURS, file_id="file-2", purpose="pre-train"),
        replace(OURS, file_id="file-2", created_at=utc_text(SENT_AT_S - 60)),
    ],
)
def test_other_files_do_not_matter(other: ListedFile) -> None:
    """A file with another name, size or purpose, or made before the attempt, is not the upload."""
    assert verdict(other) == Absent()
    assert verdict(OURS, other) == Found(OURS)


@pytest.mark.parametrize(
    "form",
    [
        replace(OURS, filename="DATA.jsonl"),
        replace(OURS, filename="x/data.jsonl"),
        replace(OURS, filename="data%2Ejsonl"),
        replace(OURS, purpose="finetune"),
        replace(OURS, purpose="fine_tune"),
        replace(OURS, purpose="user_data"),
        replace(OURS, filename="Data.jsonl", purpose="finetune"),
    ],
)
def test_another_form_of_a_name_or_purpose_is_never_absent(form: ListedFile) -> None:
    """What a server may have made of our name and purpose needs its content compared; beside our file it is another."""
    found = verdict(form)
    assert isinstance(found, Found)
    assert found.is_guess
    assert found.altered
    other = replace(form, file_id="file-2")
    assert verdict(OURS, other) == Found(OURS)
    several = verdict(form, other)
    assert isinstance(several, Undecided)
    assert several.alike == (form, other)
    vague = verdict(form, replace(other, created_at=None))
    assert isinstance(vague, Undecided)
    # Equal content still decides for the one that can be compared; its time alone does not.
    assert (vague.alike, vague.has_vague) == ((form,), True)
    assert verdict(form, claimed={"file-ours"}) == Absent()
    assert verdict(replace(form, created_at=utc_text(SENT_AT_S - 60))) == Absent()


def test_a_proven_habit_is_no_guess() -> None:
    """Once a file with the same changes was read back, the list is understood."""
    habits = ServerHabits()
    form = replace(OURS, filename="data_.jsonl", purpose="finetune")
    doubt = replace(DOUBT, sent_name="data .jsonl")
    found = verdict(form, doubt=doubt, habits=habits)
    assert isinstance(found, Found)
    habits.prove(found.altered)
    again = verdict(form, doubt=doubt, habits=habits)
    assert again == Found(form, found.altered)


@pytest.mark.parametrize(
    "odd",
    [
        replace(OURS, file_id="1003", has_id=False),
        replace(OURS, file_id="a/b", has_id=False, filename=None),
        ListedFile(file_id="7", has_id=False),
    ],
)
def test_what_has_no_usable_id_is_never_absent_nor_found(odd: ListedFile) -> None:
    """A listed file that may be ours and has no usable id leaves the doubt, whatever it calls itself, and is shown."""
    found = verdict(odd)
    assert isinstance(found, Undecided)
    assert "without an id that can be used" in found.reason
    assert isinstance(verdict(OURS, odd), Undecided)
    assert isinstance(verdict(odd, claimed={"1003", "a/b", "7"}), Undecided)
    named = replace(odd, filename="other.jsonl", bytes=10)
    assert verdict(named) == Absent()


def test_an_id_that_another_receipt_has_wrongly_is_disputed() -> None:
    """Our file under an id that the ledger gave to an upload of something else is not absent."""
    found = verdict(OURS, claimed={"file-ours"}, disputed={"file-ours"})
    assert isinstance(found, Undecided)
    assert "another entry" in found.reason


def test_several() -> None:
    """Where several files could be it, a person decides, and is told which."""
    copies = [replace(OURS, file_id=f"file-{number}") for number in range(7)]
    found = verdict(*copies)
    assert isinstance(found, Undecided)
    assert found.reason.startswith("7 files")
    assert "file-0" in found.reason
    assert "file-4" in found.reason
    assert "file-5" not in found.reason


def test_claimed_files_are_somebody_elses() -> None:
    """A file that a row of the ledger owns is no candidate, whether it is the only one or one of two."""
    twin = replace(OURS, file_id="file-twin")
    assert verdict(OURS, claimed={"file-ours"}) == Absent()
    assert verdict(OURS, claimed={"file-ours"}, listed_at_s=SENT_AT_S) == NotYet()
    assert verdict(OURS, twin, claimed={"file-twin"}) == Found(OURS)
    assert verdict(OURS, twin, claimed={"file-twin", "file-ours"}) == Absent()


@pytest.mark.parametrize(
    ("vague", "word"),
    [
        (replace(OURS, filename=None), "file name"),
        (replace(OURS, bytes=None), "size"),
        (replace(OURS, purpose=None), "purpose"),
        (replace(OURS, created_at=None), "creation time"),
        (replace(OURS, created_at="yesterday"), "creation time"),
        (replace(OURS, created_at="2026-06-18"), "creation time"),
        (ListedFile(file_id="file-ours"), "file name, size, purpose, creation time"),
    ],
)
def test_absent_fields_decide_nothing(vague: ListedFile, word: str) -> None:
    """A field the server leaves out neither rules a file out nor lets it be adopted."""
    found = verdict(vague)
    assert isinstance(found, Undecided)
    assert found.reason == f"file-ours may match, but the server does not report its {word}"


def test_several_with_a_vague_one() -> None:
    """A file that cannot be ruled out makes even an exact match undecided."""
    vague = ListedFile(file_id="file-vague")
    assert isinstance(verdict(OURS, vague), Undecided)
    assert verdict(OURS, vague, claimed={"file-vague"}) == Found(OURS)


def test_matches() -> None:
    """Name, size and purpose must all agree; an absent one does not."""
    assert matches(DOUBT, OURS)
    assert matches(DOUBT, replace(OURS, created_at=None))
    assert not matches(DOUBT, replace(OURS, bytes=None))
    assert not matches(DOUBT, replace(OURS, filename="data"))
    assert not matches(DOUBT, replace(OURS, purpose=None))


LISTINGS = st.lists(
    st.builds(
        ListedFile,
        file_id=st.sampled_from(["file-1", "file-2", "file-3", "file-4", "file-5"]),
        filename=st.sampled_from([None, "data.jsonl", "data.jsonl", "other"]),
        bytes=st.sampled_from([None, 10, 10, 11]),
        purpose=st.sampled_from([None, "fine-tune", "fine-tune", "pre-train"]),
        created_at=st.sampled_from(
            [None, "soon", utc_text(SENT_AT_S), utc_text(SENT_AT_S + 5), utc_text(SENT_AT_S - 600)]
        ),
    ),
    max_size=6,
    unique_by=lambda one: one.file_id,
)
IDS = st.sampled_from(["file-1", "file-2", "file-3"])


@given(LISTINGS, st.sets(IDS), st.none() | IDS, st.booleans())
def test_verdict_claims_no_more_than_the_list(
    listing: list[ListedFile], claimed: set[str], candidate_id: str | None, settled: bool
) -> None:
    """Found is the only unclaimed suspect and agrees in all; absence is said of none at all, and not too soon."""
    doubt = replace(DOUBT, candidate_id=candidate_id)
    listed_at_s = SETTLES_AT_S + (1 if settled else -1)
    found = verdict(*listing, doubt=doubt, claimed=claimed, listed_at_s=listed_at_s)
    agreeing = [
        one
        for one in listing
        if one.file_id not in claimed
        and matches(doubt, one)
        and ((utc_seconds(one.created_at) or SENT_AT_S) >= SENT_AT_S or one.file_id == candidate_id)
    ]
    if isinstance(found, Found) and found.is_guess:
        # Not adopted before its content was compared.
        assert agreeing == []
        assert found.file.bytes == DOUBT.file_bytes
        assert found.altered
    elif isinstance(found, Found):
        assert agreeing == [found.file]
        assert utc_seconds(found.file.created_at) is not None
    if len(agreeing) > 1:
        assert isinstance(found, Undecided)
    if agreeing:
        assert isinstance(found, Found | Undecided)
    if isinstance(found, Absent):
        assert settled
    if isinstance(found, NotYet):
        assert not settled
