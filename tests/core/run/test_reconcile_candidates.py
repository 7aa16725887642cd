"""A doubt whose answer named a file: the list decides together with that candidate."""

from __future__ import annotations

from msgspec.structs import replace

from bulk_upload.core.run.reconcile import (
    Absent,
    Found,
    Undecided,
)
from bulk_upload.core.text.timestamps import utc_text
from tests.core.run.reconciled import DOUBT, OURS, SENT_AT_S, verdict


def test_a_candidate_with_an_unlike_name_is_left_to_a_person() -> None:
    """An id that the list shows under another name is not believed, though it came with the answer."""
    doubt = replace(DOUBT, candidate_id="file-ours")
    found = verdict(replace(OURS, filename="other"), doubt=doubt)
    assert isinstance(found, Undecided)
    assert "keeps-names" in found.reason
    cut = verdict(replace(OURS, filename="1712-data.jsonl"), doubt=doubt)
    assert isinstance(cut, Found)
    assert cut.is_guess


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
