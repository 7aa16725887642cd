"""What the server's list says about an upload whose answer was lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.api.server_habits import ServerHabits
from bulk_upload.core.model import ListedFile
from bulk_upload.core.run.reconcile import (
    CLOCK_TOLERANCE_S,
    LATE_S,
    Absent,
    Doubt,
    Found,
    NotYet,
    Reconciliation,
    Undecided,
    is_before,
    judge,
    matches,
    suspects,
    window_start_utc_s,
)
from bulk_upload.core.text.timestamps import utc_seconds, utc_text

SENT_AT_S = 1_781_775_000.0
SETTLES_AT_S = SENT_AT_S + 60.0
DOUBT = Doubt(
    entry_id=1,
    attempt_id=1,
    sent_name="data.jsonl",
    file_bytes=10,
    purpose="fine-tune",
    sent_at_utc_s=SENT_AT_S,
    settles_at_utc_s=SETTLES_AT_S,
)
OURS = ListedFile(
    file_id="file-ours",
    filename="data.jsonl",
    bytes=10,
    purpose="fine-tune",
    created_at=utc_text(SENT_AT_S + 1),
)


def verdict(
    *listing: ListedFile,
    doubt: Doubt = DOUBT,
    claimed: set[str] | None = None,
    listed_at_s: float = SETTLES_AT_S,
    offset_s: float | None = 0.0,
    disputed: set[str] | None = None,
    habits: ServerHabits | None = None,
) -> Reconciliation:
    """Return what a listing says about a doubt."""
    suspected = suspects(doubt, listing, clock_offset_s=offset_s, habits=habits)
    return judge(
        doubt,
        suspected,
        claimed_ids=claimed or set(),
        settled=listed_at_s >= doubt.settles_at_utc_s,
        clock_offset_s=offset_s,
        disputed_ids=disputed or set(),
        habits=habits,
    )


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


def test_a_candidate_with_an_unlike_name_is_left_to_a_person() -> None:
    """An id that the list shows under another name is not believed, though it came with the answer."""
    doubt = replace(DOUBT, candidate_id="file-ours")
    found = verdict(replace(OURS, filename="other"), doubt=doubt)
    assert isinstance(found, Undecided)
    assert "keeps-names" in found.reason
    cut = verdict(replace(OURS, filename="1712-data.jsonl"), doubt=doubt)
    assert isinstance(cut, Found)
    assert cut.is_guess


def test_absence_needs_the_settle_time() -> None:
    """A list without the file is believed only when it was asked for after the settle time."""
    assert verdict(listed_at_s=SETTLES_AT_S - 0.001) == NotYet()
    assert verdict(listed_at_s=SETTLES_AT_S) == Absent()


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


@pytest.mark.parametrize("created_at", ["2026-06-18", "2026-06-18T09", "2026-06-18T09:30Z", "2026-W25-4"])
def test_coarse_times_rule_nothing_out(created_at: str) -> None:
    """A creation time that is cut to the minute or the day looks too early, and proves nothing."""
    doubt = replace(DOUBT, sent_at_utc_s=SENT_AT_S + 50.0)
    assert utc_seconds("2026-06-18T09:30:00Z") == SENT_AT_S
    assert isinstance(verdict(replace(OURS, created_at=created_at), doubt=doubt), Undecided)


def test_several_with_a_vague_one() -> None:
    """A file that cannot be ruled out makes even an exact match undecided."""
    vague = ListedFile(file_id="file-vague")
    assert isinstance(verdict(OURS, vague), Undecided)
    assert verdict(OURS, vague, claimed={"file-vague"}) == Found(OURS)


def test_candidate_that_differs() -> None:
    """An id that came with the answer is looked at even when its file is not what was sent; a person decides."""
    doubt = replace(DOUBT, candidate_id="file-ours")
    found = verdict(replace(OURS, bytes=4), doubt=doubt)
    assert isinstance(found, Undecided)
    assert "differs from what was sent" in found.reason
    assert isinstance(verdict(replace(OURS, filename="other"), doubt=doubt), Undecided)


def test_candidate_that_agrees() -> None:
    """A candidate whose file turns out to be what was sent is the upload, whenever the server says it was made."""
    doubt = replace(DOUBT, candidate_id="file-ours")
    assert verdict(OURS, doubt=doubt) == Found(OURS)
    early = replace(OURS, created_at=utc_text(SENT_AT_S - 3600))
    assert verdict(early, doubt=doubt) == Found(early)


def test_candidate_beside_a_match() -> None:
    """A candidate that differs and another file that agrees are two suspects."""
    doubt = replace(DOUBT, candidate_id="file-cut")
    cut = replace(OURS, file_id="file-cut", bytes=4)
    assert isinstance(verdict(OURS, cut, doubt=doubt), Undecided)


def test_a_withdrawn_candidate_beside_a_match() -> None:
    """The server showed that the id is another file's: the one file that matches is ours."""
    doubt = replace(DOUBT, candidate_id="file-theirs", candidate_withdrawn=True)
    theirs = replace(OURS, file_id="file-theirs", filename="theirs.jsonl")
    assert verdict(OURS, theirs, doubt=doubt) == Found(OURS)
    assert isinstance(verdict(OURS, replace(OURS, file_id="file-2"), theirs, doubt=doubt), Undecided)


def test_a_withdrawn_candidate_beside_another_form_of_what_was_sent() -> None:
    """The one file that may be ours is left for its content to decide."""
    doubt = replace(DOUBT, candidate_id="file-theirs", candidate_withdrawn=True)
    theirs = replace(OURS, file_id="file-theirs", filename="theirs.jsonl")
    form = replace(OURS, filename="DATA.jsonl")
    found = verdict(form, theirs, doubt=doubt)
    assert isinstance(found, Found)
    assert (found.file, found.is_guess) == (form, True)


def test_a_withdrawn_candidate_alone_is_not_absence() -> None:
    """The server may write names in its own way: while the id is there and nobody's, nothing is sent again."""
    doubt = replace(DOUBT, candidate_id="file-theirs", candidate_withdrawn=True)
    theirs = replace(OURS, file_id="file-theirs", filename="theirs.jsonl")
    assert isinstance(verdict(theirs, doubt=doubt), Undecided)
    assert verdict(theirs, doubt=doubt, claimed={"file-theirs"}) == Absent()


def test_a_withdrawn_candidate_that_agrees_now() -> None:
    """A server that contradicts itself decides nothing."""
    doubt = replace(DOUBT, candidate_id="file-ours", candidate_withdrawn=True)
    found = verdict(OURS, doubt=doubt)
    assert isinstance(found, Undecided)
    assert "its receipt was withdrawn" in found.reason


def test_candidate_that_is_claimed() -> None:
    """A candidate that belongs to another entry does not hide the file that is really ours."""
    doubt = replace(DOUBT, candidate_id="file-theirs")
    theirs = replace(OURS, file_id="file-theirs", bytes=99)
    assert verdict(theirs, OURS, doubt=doubt, claimed={"file-theirs"}) == Found(OURS)


@pytest.mark.parametrize("offset_s", [-3600.0, -1.0, 0.0, 1.0, 3600.0])
def test_clock_offset(offset_s: float) -> None:
    """Times are compared on the server's clock, with a tolerance for its whole seconds."""
    just_inside = replace(OURS, created_at=utc_text(SENT_AT_S + offset_s - CLOCK_TOLERANCE_S))
    too_early = replace(OURS, created_at=utc_text(SENT_AT_S + offset_s - CLOCK_TOLERANCE_S - 0.001))
    assert verdict(just_inside, offset_s=offset_s) == Found(just_inside)
    assert verdict(too_early, offset_s=offset_s) == Absent()


@pytest.mark.parametrize("skew_s", [-86_400.0, -3600.0, -20.0, 200.0, 3600.0, 86_400.0])
def test_an_unknown_offset_rules_nothing_out(skew_s: float) -> None:
    """While the clocks are not aligned a file that agrees is never absent; one whose time does not fit waits for a person."""
    shifted = replace(OURS, created_at=utc_text(SENT_AT_S + skew_s))
    found = verdict(shifted, offset_s=None)
    assert isinstance(found, Undecided)
    assert "without the server's time" in found.reason
    assert verdict(OURS, offset_s=None) == Found(OURS)
    assert isinstance(verdict(OURS, replace(shifted, file_id="file-2"), offset_s=None), Undecided)
    assert verdict(shifted, claimed={"file-ours"}, offset_s=None) == Absent()
    assert window_start_utc_s([DOUBT], clock_offset_s=None) is None


@pytest.mark.parametrize("hours", [-9, -1, 1, 9])
def test_time_without_a_zone(hours: int) -> None:
    """A time without a zone rules nothing out: one that fits is believed, one that may be hours off is not."""
    fits = replace(OURS, created_at=utc_text(SENT_AT_S + 1).removesuffix("Z"))
    local = replace(OURS, created_at=utc_text(SENT_AT_S + 1 + hours * 3600).removesuffix("Z"))
    assert verdict(fits) == Found(fits)
    assert isinstance(verdict(local), Undecided)


def test_long_after() -> None:
    """A look-alike made long after the attempt is somebody's, and only a person can say whose."""
    in_time = replace(OURS, created_at=utc_text(SETTLES_AT_S + LATE_S - 1))
    late = replace(OURS, created_at=utc_text(SETTLES_AT_S + LATE_S + 1))
    assert verdict(in_time) == Found(in_time)
    assert isinstance(verdict(late), Undecided)


def page(*ages_s: float) -> list[ListedFile]:
    """Return a page of files made so many seconds before the attempt."""
    return [
        replace(OURS, file_id=f"file-{no}", created_at=utc_text(SENT_AT_S - age_s))
        for no, age_s in enumerate(ages_s)
    ]


def test_page_that_reaches_back() -> None:
    """Only a page that descends, in times that have a zone, proves that the rest of the list is older."""
    assert is_before(page(1, 50, 100), SENT_AT_S)
    assert not is_before(page(-50, -20, 1), SENT_AT_S)
    assert not is_before(page(100, 50, 200), SENT_AT_S)
    assert not is_before([], SENT_AT_S)
    assert not is_before([*page(100), replace(OURS, created_at=None)], SENT_AT_S)
    naive = [replace(one, created_at=str(one.created_at).removesuffix("Z")) for one in page(100, 200)]
    assert not is_before(naive, SENT_AT_S)


def test_window_start() -> None:
    """A listing goes back to before the oldest doubt that waits, on the server's clock."""
    later = replace(DOUBT, sent_at_utc_s=SENT_AT_S + 100)
    assert window_start_utc_s([later, DOUBT], clock_offset_s=7.0) == SENT_AT_S + 7.0 - CLOCK_TOLERANCE_S


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


def test_a_time_fits_no_attempt_during_which_our_clock_was_set() -> None:
    """Without the server's time its beginning and its end are of two clocks: nothing lies between them."""
    was_set = replace(DOUBT, clock_was_set=True)
    assert isinstance(verdict(OURS, doubt=was_set, offset_s=None), Undecided)
    assert verdict(OURS, doubt=was_set, offset_s=0.0) == Found(OURS)


@pytest.mark.parametrize("offset_s", [-3600.0, 0.0, 3600.0])
def test_absence_settles_in_the_servers_time(offset_s: float) -> None:
    """What our clock says between two runs counts only where the server's time shows how long ago the attempt was."""
    old = replace(DOUBT, settle_s=30.0, clock_offset_s=offset_s)

    def left_s(doubt: Doubt, after_s: float) -> float:
        # Our clock was set back by an hour since.
        ours_s = SETTLES_AT_S - 30 + after_s - 3600
        return doubt.left_s(utc_s=ours_s, clock_offset_s=offset_s + 3600)

    assert [left_s(old, after_s) for after_s in (0.0, 10.0, 30.0, 3000.0)] == [30.0, 20.0, 0.0, 0.0]
    for one in (replace(old, clock_offset_s=None), replace(old, clock_was_set=True)):
        assert left_s(one, 3000.0) == 30.0
    assert old.left_s(utc_s=SETTLES_AT_S + 3000, clock_offset_s=None) == 30.0
    assert replace(old, began_at=5.0).left_s(utc_s=SETTLES_AT_S + 3000, clock_offset_s=offset_s) == 30.0
