"""What a run learns of a server from its own accepted files."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.api.server_habits import OWN_FILES_MAX, OwnFile, ServerHabits
from bulk_upload.core.model import Accepted, Altered, AlteredField, InDoubt, ListedFile
from bulk_upload.core.text.timestamps import utc_text

START_S = 1_781_775_000.0
SPACE = Altered(field=AlteredField.NAME, sent="a b", stored="a_b")
PURPOSE = Altered(field=AlteredField.PURPOSE, sent="fine-tune", stored="finetune")


def own(number: int = 1, *, name: str = "a.jsonl", began_s: float = START_S) -> OwnFile:
    """Return a file that the server accepted within a second."""
    return OwnFile(
        file_id=f"file-{number}",
        name=name,
        purpose="fine-tune",
        file_bytes=10,
        began_utc_s=began_s,
        began_at=0.0,
        lasted_s=1.0,
        accepted_at_s=float(number),
    )


def contradicting(*altered: Altered) -> InDoubt:
    """Return the outcome of an answer with these changes."""
    accepted = Accepted(file_id="file-9", http_status=200, size_confirmed=True, altered=altered)
    return InDoubt(reason="odd", answered=False, candidate_id="file-9", at_its_word=accepted)


def row(file_id: str = "file-1", **fields: Any) -> ListedFile:
    """Return a listed file of 10 bytes."""
    known: dict[str, Any] = {
        "filename": "a.jsonl",
        "bytes": 10,
        "purpose": "fine-tune",
        "created_at": utc_text(START_S),
    }
    return ListedFile(file_id=file_id, **(known | fields))


def could_be(habits: ServerHabits, file: ListedFile, *, name: str = "a.jsonl") -> bool:
    """Whether a listed file may be a name for fine-tune with 10 bytes."""
    return habits.could_be(file, name=name, purpose="fine-tune", file_bytes=10)


def test_a_contradiction_is_believed_once_the_same_was_proven() -> None:
    """An answer is taken at its word only if every one of its changes was seen on a file that was read back."""
    habits = ServerHabits()
    both = contradicting(SPACE, PURPOSE)
    assert habits.read(both) is both
    habits.prove([SPACE])
    assert habits.read(both) is both
    assert habits.read(contradicting(SPACE)) == contradicting(SPACE).at_its_word
    habits.prove([PURPOSE])
    assert habits.read(both) == both.at_its_word
    case = Altered(field=AlteredField.NAME, sent="A b", stored="a_b")
    assert habits.read(contradicting(case)) == contradicting(case)


def test_a_name_that_lost_letters_is_never_a_habit() -> None:
    """Two names may become one if letters are lost: each needs its own proof."""
    habits = ServerHabits()
    for stored in ("a", "1712-a b", "other"):
        cut = Altered(field=AlteredField.NAME, sent="a b", stored=stored)
        habits.prove([cut])
        assert not habits.are_proven([cut])


def test_two_purposes_that_become_one_prove_nothing() -> None:
    """A purpose that another one is stored as, or that is itself kept, does not say what was sent."""
    habits = ServerHabits()
    habits.prove([PURPOSE])
    habits.prove([Altered(field=AlteredField.PURPOSE, sent="pre-train", stored="finetune")])
    assert not habits.are_proven([PURPOSE])
    kept = ServerHabits()
    kept.prove([Altered(field=AlteredField.PURPOSE, sent="pre-train", stored="fine-tune")])
    kept.note_accepted(own(), is_as_sent=True)
    assert not kept.are_proven([Altered(field=AlteredField.PURPOSE, sent="pre-train", stored="fine-tune")])


def test_what_was_only_seen_rules_nothing_out() -> None:
    """A name that was cut, or a purpose that another known one replaced, keeps a file from being absent."""
    habits = ServerHabits()
    habits.see_listed(row(), name="a.jsonl", purpose="fine-tune", file_bytes=10)
    assert not could_be(habits, row(filename="1712-a.jsonl"))
    assert not could_be(habits, row(purpose="pre-train"))
    habits.read(
        contradicting(
            Altered(field=AlteredField.NAME, sent="x.jsonl", stored="1712-x.jsonl"),
            Altered(field=AlteredField.PURPOSE, sent="fine-tune", stored="pre-train"),
        )
    )
    assert could_be(habits, row(filename="1712-a.jsonl"))
    assert could_be(habits, row(purpose="pre-train"))
    assert not could_be(habits, row(filename="b.jsonl"))


def test_before_a_name_was_seen_to_be_kept_a_part_of_it_may_be_all() -> None:
    """A run that has accepted nothing does not know what the server does to names."""
    habits = ServerHabits()
    assert could_be(habits, row(filename="1712-a.jsonl"))
    habits.see_own([row()], offset_s_of=lambda _: 0.0)
    assert could_be(habits, row(filename="1712-a.jsonl"))
    habits.note_accepted(own(), is_as_sent=True)
    habits.see_own([row()], offset_s_of=lambda _: 0.0)
    assert not could_be(habits, row(filename="1712-a.jsonl"))


def test_most_own_files_decide_whether_names_and_sizes_mean_anything() -> None:
    """One own file under an unlike name may be a wrong receipt; more of them than others are a habit."""
    habits = ServerHabits()
    for number in range(2):
        habits.see_listed(row(f"kept-{number}"), name="a.jsonl", purpose="fine-tune", file_bytes=10)
    for number in range(3):
        assert not habits.alters_names
        assert not habits.alters_sizes
        habits.see_listed(
            row(f"other-{number}", filename="9f8e", bytes=14),
            name="a.jsonl",
            purpose="fine-tune",
            file_bytes=10,
        )
    assert habits.alters_names
    assert could_be(habits, row(filename="7777"))
    assert could_be(habits, row(bytes=14))


def test_own_files_at_other_times_show_that_times_are_wrong() -> None:
    """A list that dates an own file outside its request cannot rule anything out by time."""
    for seconds, shifts in ((0.0, False), (5.0, False), (-3600.0, True), (60.0, True)):
        habits = ServerHabits()
        habits.note_accepted(own(), is_as_sent=True)
        habits.see_own([row(created_at=utc_text(START_S + seconds))], offset_s_of=lambda _: 0.0)
        assert habits.shifts_times is shifts
    unknown = ServerHabits()
    unknown.note_accepted(own(), is_as_sent=True)
    unknown.see_own([row(created_at=utc_text(START_S - 3600))], offset_s_of=lambda _: None)
    assert not unknown.shifts_times


def test_what_a_list_should_show() -> None:
    """Own files within the list's reach that were accepted before a moment, the latest ones only."""
    habits = ServerHabits()
    for number in range(1, OWN_FILES_MAX + 11):
        habits.note_accepted(own(number, began_s=START_S + number), is_as_sent=True)

    def lacking(shown: set[str], *, since_s: float = 0.0, before_s: float = 1e9) -> list[str]:
        files = habits.not_shown(
            shown, should_show=lambda one: one.began_utc_s >= START_S + since_s, before_s=before_s
        )
        return [one.file_id for one in files]

    assert lacking({f"file-{number}" for number in range(11, 75)}) == []
    assert lacking({f"file-{number}" for number in range(11, 74)}) == ["file-74"]
    assert lacking(set(), since_s=73.0) == ["file-73", "file-74"]
    assert lacking(set(), before_s=12.0) == ["file-11", "file-12"]


TEXTS = st.text(max_size=12) | st.sampled_from(["a.jsonl", "A.jsonl", "x/a.jsonl", "fine-tune", "finetune"])


@given(
    st.lists(st.tuples(TEXTS, TEXTS, TEXTS, st.integers(0, 12)), max_size=6),
    TEXTS,
    TEXTS,
    st.integers(0, 12),
)
def test_a_file_as_it_was_sent_always_could_be_it(
    seen: list[tuple[str, str, str, int]], name: str, purpose: str, size: int
) -> None:
    """Whatever was learned before, what the list shows exactly as sent, or leaves out, is never ruled out."""
    habits = ServerHabits()
    for number, (sent, filename, stored, file_bytes) in enumerate(seen):
        file = ListedFile(file_id=f"f-{number}", filename=filename, purpose=stored, bytes=file_bytes)
        habits.see_listed(file, name=sent, purpose="fine-tune", file_bytes=size)
        habits.read(contradicting(Altered(field=AlteredField.NAME, sent=sent, stored=filename)))
    same = ListedFile(file_id="f", filename=name, purpose=purpose, bytes=size)
    for file in (same, ListedFile(file_id="f"), ListedFile(file_id="", has_id=False, bytes=size)):
        assert habits.could_be(file, name=name, purpose=purpose, file_bytes=size)
