from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.pack.layout import (
    EarlierPack,
    Layout,
    Limits,
    MemberKey,
    PackKind,
    Wanted,
    lay_out,
    sent_name_of,
)

TUNE, TEXT = PackKind("fine-tune"), PackKind("pre-train", "db", (("a", "b"),))
LIMITS = Limits(byte_count=100, line_count=10)


def file(
    path: str, byte_count: int = 40, *, kind: PackKind = TUNE, lines: int = 1, same: bool = True
) -> Wanted:
    return Wanted(key=MemberKey(kind, path), byte_count=byte_count, line_count=lines, is_same=same)


def earlier(layout: Layout) -> list[EarlierPack]:
    return [EarlierPack(name=one.name, kind=one.kind, members=one.members) for one in layout.packs]


def paths(layout: Layout) -> dict[str, list[str]]:
    return {one.name: [key.path for key in one.members] for one in layout.packs}


def first(*files: Wanted) -> Layout:
    return lay_out(files, [], lambda _: LIMITS)


def again(before: Layout, *files: Wanted) -> Layout:
    return lay_out(files, earlier(before), lambda _: LIMITS)


def test_members_fill_packs_in_order() -> None:
    """Members stay in the manifest's order, a pack takes one kind only, and no more than its size and lines."""
    made = first(
        file("a"),
        file("b"),
        file("t", kind=TEXT),
        file("c"),
        file("big", 500),
        file("d", lines=9),
        file("e", lines=2),
    )
    assert paths(made) == {
        "fine-tune-00001.jsonl": ["a", "b"],
        "fine-tune-00002.jsonl": ["c"],
        "fine-tune-00003.jsonl": ["big"],
        "fine-tune-00004.jsonl": ["d"],
        "fine-tune-00005.jsonl": ["e"],
        "pre-train-00006.jsonl": ["t"],
    }
    assert all(one.is_new for one in made.packs)


def test_what_stays_the_same_stays() -> None:
    """A pack whose members are all there and the same is kept, even if the manifest's order is another."""
    made = first(file("a"), file("b"), file("c"))
    after = again(made, file("c"), file("b"), file("a"))
    assert paths(after) == paths(made)
    assert all(one.is_kept for one in after.packs)


def test_only_what_changed_is_made_anew() -> None:
    """A changed or vanished member costs its own pack; new members cost a new one."""
    made = first(*(file(name) for name in "abcdefgh"))
    after = again(
        made, file("new"), file("a"), file("b", same=False), file("d"), *(file(name) for name in "efgh")
    )
    assert paths(after) == {
        "fine-tune-00001.jsonl": ["a", "b"],
        "fine-tune-00002.jsonl": ["d"],
        "fine-tune-00003.jsonl": ["e", "f"],
        "fine-tune-00004.jsonl": ["g", "h"],
        "fine-tune-00005.jsonl": ["new"],
    }
    assert [one.is_kept for one in after.packs] == [False, False, True, True, False]


def test_a_damaged_pack_is_made_anew() -> None:
    """A pack whose file is not what was written is not kept."""
    made = first(file("a"))
    (pack,) = earlier(made)
    damaged = EarlierPack(name=pack.name, kind=pack.kind, members=pack.members, is_intact=False)
    (after,) = lay_out([file("a")], [damaged], lambda _: LIMITS).packs
    assert (after.name, after.is_kept, after.is_new) == (pack.name, False, False)


def test_a_grown_member_moves_the_last_ones() -> None:
    """Where a changed member leaves no room, the pack's last members go to a new one."""
    made = first(file("a"), file("b"))
    after = again(made, file("a", 90, same=False), file("b"))
    assert paths(after) == {"fine-tune-00001.jsonl": ["a"], "fine-tune-00002.jsonl": ["b"]}


def test_a_number_is_not_given_twice() -> None:
    """A pack that lost all its members is gone, and its number is not that of a new one in the same step."""
    made = first(file("a"), file("b"), file("c"))
    after = again(made, file("a"), file("b"), file("x"))
    assert after.gone == ("fine-tune-00002.jsonl",)
    assert paths(after) == {"fine-tune-00001.jsonl": ["a", "b"], "fine-tune-00003.jsonl": ["x"]}


def test_a_member_of_another_kind_is_another_member() -> None:
    """A path with two purposes is two members; one that changes its purpose moves."""
    made = first(file("a"), file("a", kind=TEXT), file("b"))
    assert len(made.packs) == 2
    after = again(made, file("a"), file("a", kind=TEXT), file("b", kind=TEXT))
    assert paths(after) == {
        "fine-tune-00001.jsonl": ["a"],
        "pre-train-00002.jsonl": ["a"],
        "pre-train-00003.jsonl": ["b"],
    }


def test_names_are_plain() -> None:
    """A purpose with unusual characters gives a name that every file system and server takes."""
    (pack,) = first(file("a", kind=PackKind("my purpose/ü"))).packs
    assert pack.name == "my_purpose__-00001.jsonl"
    assert sent_name_of(pack.name, "0123456789abcdef" * 4) == "my_purpose__-00001-0123456789abcdef.jsonl"


FILES = st.lists(
    st.builds(
        file,
        st.sampled_from("abcdefghijkl"),
        st.integers(1, 120),
        kind=st.sampled_from([TUNE, TEXT]),
        lines=st.integers(1, 6),
        same=st.booleans(),
    ),
    max_size=14,
    unique_by=lambda one: one.key,
)


@given(st.lists(FILES, min_size=1, max_size=4))
def test_however_often(versions: list[list[Wanted]]) -> None:
    """Every member is in exactly one pack of its kind, within the limits; what is kept was as it is; a rerun keeps all."""
    before = Layout(packs=())
    for files in versions:
        made = again(before, *files)
        sizes = {one.key: one for one in files}
        placed = [key for pack in made.packs for key in pack.members]
        assert sorted(placed, key=repr) == sorted(sizes, key=repr)
        old = {one.name: one.members for one in before.packs}
        for pack in made.packs:
            assert {key.kind for key in pack.members} == {pack.kind}
            if pack.is_kept:
                assert pack.members == old[pack.name]
                assert all(sizes[key].is_same for key in pack.members)
            elif len(pack.members) > 1:
                assert sum(sizes[key].byte_count for key in pack.members) <= LIMITS.byte_count
                assert sum(sizes[key].line_count for key in pack.members) <= (LIMITS.line_count or 0)
            assert pack.is_new is (pack.name not in old)
        assert set(made.gone) == set(old) - {one.name for one in made.packs}
        assert len({one.name for one in made.packs}) == len(made.packs)
        settled = again(
            made,
            *(file(one.key.path, one.byte_count, kind=one.key.kind, lines=one.line_count) for one in files),
        )
        assert all(one.is_kept for one in settled.packs)
        before = made
