"""Whether a listed file may become a receipt, by what its content shows."""

from __future__ import annotations

from itertools import product

import pytest
from msgspec.structs import replace

from bulk_upload.core.doubt.adoption import (
    EARLY_S,
    LATE_S,
    Adopt,
    Compared,
    Doubtful,
    RuledOut,
    Sameness,
    decide,
    equal_elsewhere,
    made_during,
    made_nearby,
    needs_own_file,
    sameness_of,
    unfaithful,
)
from bulk_upload.core.doubt.content import ComparedBy, ReadBack
from bulk_upload.core.model import Altered, AlteredField, ListedFile
from bulk_upload.core.text.timestamps import utc_text

BEGAN_S = 1_781_775_000.0
ENDED_S = BEGAN_S + 10.0
SAME, OTHER, UNREADABLE, UNKNOWN = Sameness
OURS = "a" * 64


def file(file_id: str = "file-1", created_at: str | None = None) -> ListedFile:
    return ListedFile(file_id=file_id, filename="a", bytes=10, purpose="p", created_at=created_at)


def seen(
    sameness: Sameness, file_id: str = "file-1", *, in_time: bool | None = True, reason: str = ""
) -> Compared:
    by = ComparedBy.WHOLE if sameness in (SAME, OTHER) else ComparedBy.NONE
    return Compared(file=file(file_id), sameness=sameness, by=by, in_time=in_time, reason=reason)


def decided(
    *compared: Compared, candidate: str | None = None, faithful: bool | None = None
) -> Adopt | RuledOut | Doubtful:
    return decide(compared, candidate_id=candidate, is_faithful=faithful)


def test_the_same_content_is_ours() -> None:
    """One candidate with the bytes that were sent becomes the receipt, and the ledger says how it was compared."""
    found = decided(seen(SAME))
    assert found == Adopt(file=file(), by=ComparedBy.WHOLE)
    assert isinstance(found, Adopt)
    assert found.detail == "content compared whole"
    assert replace(found, by=ComparedBy.RANGES).detail == "content compared by ranges"


def test_another_form_than_was_sent_needs_the_same_content() -> None:
    """Neither time nor the answer's id is enough for a file that the server may have respelt."""
    altered = Altered(field=AlteredField.NAME, sent="a b", stored="a_b")
    for candidate in (None, "file-1"):
        found = decided(
            replace(seen(UNREADABLE, reason="HTTP 404"), unproven=(altered,)), candidate=candidate
        )
        assert isinstance(found, Doubtful)
        assert "'a_b'" in found.reason
        assert "its content cannot be compared (HTTP 404)" in found.reason
    assert decided(replace(seen(SAME), unproven=(altered,))) == Adopt(file=file(), by=ComparedBy.WHOLE)


def test_content_tells_look_alikes_apart() -> None:
    """Of several candidates the one with our bytes is ours."""
    found = decided(seen(OTHER, "file-1"), seen(SAME, "file-2"), seen(OTHER, "file-3"))
    assert isinstance(found, Adopt)
    assert found.file.file_id == "file-2"


def test_the_same_bytes_twice_are_anybodys() -> None:
    """Look-alikes that even content cannot tell apart stay in doubt, and the reason names them."""
    found = decided(seen(SAME, "file-1"), seen(SAME, "file-2"), seen(OTHER, "file-3"))
    assert found == Doubtful(
        "2 files on the server have the content that was sent: file-1, file-2; another job may have sent the same bytes "
        "at the same time"
    )


@pytest.mark.parametrize("in_time", [True, None])
def test_other_content_is_somebody_elses(in_time: bool | None) -> None:
    """A server that returns content unchanged has shown that these are not what was sent."""
    found = decided(
        seen(OTHER, "file-1", in_time=in_time), seen(OTHER, "file-2", in_time=in_time), faithful=True
    )
    assert found == RuledOut(frozenset({"file-1", "file-2"}))


def test_other_content_proves_nothing_of_a_server_that_changes_it() -> None:
    """Without one of our own files to compare with nothing is ruled out; where it was changed, only metadata is left."""
    unknown = decided(seen(OTHER))
    assert isinstance(unknown, Doubtful)
    assert "no file of this job shows that the server returns content unchanged" in unknown.reason
    assert unknown.lacks_own_file
    adopted = decided(seen(OTHER), faithful=False)
    assert isinstance(adopted, Adopt)
    assert adopted.detail == "content not compared: the server does not return content as it was sent"
    assert isinstance(decided(seen(OTHER, in_time=None), faithful=False), Doubtful)
    assert isinstance(decided(seen(OTHER), seen(OTHER, "file-2"), faithful=False), Doubtful)


@pytest.mark.parametrize("faithful", [True, None])
def test_an_answers_own_file_with_other_content_is_no_absence(faithful: bool | None) -> None:
    """The answer named it, so it may hold what became of the upload: a person decides."""
    found = decided(seen(OTHER), candidate="file-1", faithful=faithful)
    assert found == Doubtful("file-1 came with the answer, but its content is not what was sent")


@pytest.mark.parametrize(
    ("in_time", "candidate", "adopted"),
    [(True, None, True), (False, None, False), (None, None, False), (None, "file-1", True)],
)
def test_without_content_only_the_attempts_own_time_counts(
    in_time: bool | None, candidate: str | None, adopted: bool
) -> None:
    """A file that cannot be read back is ours if it is alone and was surely made during the attempt."""
    found = decided(seen(UNREADABLE, in_time=in_time, reason="HTTP 405"), candidate=candidate)
    assert isinstance(found, Adopt) is adopted
    assert not isinstance(found, RuledOut)
    assert "HTTP 405" in (found.detail if isinstance(found, Adopt) else found.reason)


def test_without_content_there_may_be_no_other_candidate() -> None:
    """Two files that cannot be read back, or one beside the same content, are not told apart."""
    for others in ((UNREADABLE, UNREADABLE), (SAME, UNREADABLE)):
        found = decided(*(seen(one, f"file-{number}", reason="no") for number, one in enumerate(others)))
        assert found == Doubtful(
            "2 files on the server match: file-0, file-1; their content cannot be compared (no)"
        )
    pair = seen(UNREADABLE, reason="no"), seen(OTHER, "file-2")
    assert isinstance(decided(*pair, faithful=True), Adopt)
    assert isinstance(decided(*pair, faithful=None), Doubtful)


def test_the_same_content_at_another_time_may_be_anothers() -> None:
    """A file that was made after the attempt had ended may be what another job sent."""
    found = decided(seen(SAME, in_time=False))
    assert isinstance(found, Doubtful)
    assert "not during the attempt" in found.reason
    assert isinstance(decided(seen(SAME, in_time=None)), Adopt)
    assert isinstance(decided(seen(SAME, in_time=False), candidate="file-1"), Adopt)


def test_what_is_not_known_decides_nothing() -> None:
    """One candidate that could not be looked at leaves all in doubt, whatever the others have."""
    for other in Sameness:
        for pair in ((UNKNOWN, other), (other, UNKNOWN)):
            found = decided(
                *(seen(one, f"file-{number}", reason="its disk failed") for number, one in enumerate(pair)),
                faithful=True,
            )
            assert isinstance(found, Doubtful)
            assert "its disk failed" in found.reason


def test_at_most_one_file_is_ever_adopted() -> None:
    """Whatever the candidates show, one is adopted only if every other has other content."""
    for faithful, *kinds in product([True, False, None], list(Sameness), list(Sameness), list(Sameness)):
        found = decided(*(seen(one, f"file-{number}") for number, one in enumerate(kinds)), faithful=faithful)
        if isinstance(found, Adopt):
            (chosen,) = [one for one in kinds if one is not OTHER]
            assert chosen in (SAME, UNREADABLE)
        if isinstance(found, RuledOut):
            assert set(kinds) == {OTHER}
            assert faithful


def test_own_files_are_asked_for_only_where_they_decide() -> None:
    """The server's habit matters where something has other content and nothing has ours."""
    assert needs_own_file([seen(OTHER)])
    assert needs_own_file([seen(OTHER), seen(UNREADABLE)])
    assert not needs_own_file([seen(OTHER), seen(SAME)])
    assert not needs_own_file([seen(UNREADABLE)])
    assert not needs_own_file([seen(OTHER), seen(UNKNOWN)])


@pytest.mark.parametrize(
    ("back", "sameness"),
    [
        (ReadBack(hashes=(OURS,), read_bytes=10, total_bytes=10), SAME),
        (ReadBack(hashes=(OURS,), read_bytes=4, by_ranges=True), SAME),
        (ReadBack(hashes=("b" * 64,), read_bytes=10, total_bytes=10), OTHER),
        (ReadBack(read_bytes=0, total_bytes=11), OTHER),
        (ReadBack(read_bytes=0, reason="HTTP 404"), UNREADABLE),
    ],
)
def test_what_came_back(back: ReadBack, sameness: Sameness) -> None:
    """Another length is other content; nothing at all is no evidence."""
    assert sameness_of(back, file_bytes=10, content_hash=OURS) is sameness


@pytest.mark.parametrize("offset_s", [-86_400.0, -20.0, 0.0, 3600.0])
def test_during_the_attempt(offset_s: float) -> None:
    """Times are the server's own, with a tolerance for whole seconds; unknown ones say nothing."""

    def during(made_s: float, *, offset: float | None = offset_s, ended_s: float = ENDED_S) -> bool | None:
        made = file(created_at=utc_text(made_s + offset_s))
        return made_during(made, began_utc_s=BEGAN_S, ended_utc_s=ended_s, clock_offset_s=offset)

    assert during(BEGAN_S) is True
    assert during(ENDED_S) is True
    assert during(BEGAN_S - EARLY_S - 0.1) is False
    assert during(ENDED_S + LATE_S + 0.1) is False
    assert during(BEGAN_S, offset=None) is None
    assert during(BEGAN_S, ended_s=BEGAN_S - 3600) is None


@pytest.mark.parametrize("created_at", [None, "yesterday", "2026-06-18T09:30:00"])
def test_a_time_that_cannot_be_placed_says_nothing(created_at: str | None) -> None:
    """Without a time, or without its zone, the server does not say when the file was made."""
    made = made_during(
        file(created_at=created_at), began_utc_s=BEGAN_S, ended_utc_s=ENDED_S, clock_offset_s=0.0
    )
    assert made is None


def test_a_job_that_ended_long_ago_is_not_at_work() -> None:
    """Copies count from shortly before the match on, longer where an attempt takes long; without a time they count."""
    match = file(created_at=utc_text(BEGAN_S))

    def nearby(before_s: float, *, attempt_s: float = 10.0) -> bool:
        return made_nearby(file(created_at=utc_text(BEGAN_S - before_s)), match, attempt_s=attempt_s)

    assert nearby(-600.0)
    assert nearby(59.0)
    assert not nearby(61.0)
    # A clock that was set during the attempt makes it seem to last less than no time.
    assert nearby(59.0, attempt_s=-3600.0)
    assert nearby(300.0, attempt_s=100.0)
    assert not nearby(301.0, attempt_s=100.0)
    for unknown in (None, "yesterday", "2026-06-18T00:00:00"):
        assert made_nearby(file(created_at=unknown), match, attempt_s=1.0)
        assert made_nearby(match, file(created_at=unknown), attempt_s=1.0)


def test_another_job_that_sends_the_same_bytes_is_named() -> None:
    """The reason says which file shows it."""
    found = equal_elsewhere(Adopt(file=file(), by=ComparedBy.WHOLE), file("file-9"), "b.jsonl")
    assert "file-1 matches" in found.reason
    assert "file-9 is a second copy of b.jsonl" in found.reason


def test_only_other_content_loses_its_weight() -> None:
    """What is the same is the same, whatever the server does to other files."""
    assert unfaithful(seen(OTHER)).sameness is UNREADABLE
    for one in (SAME, UNREADABLE, UNKNOWN):
        assert unfaithful(seen(one)) == seen(one)
