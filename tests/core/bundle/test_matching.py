"""Which file of an answer is which member of a bundle."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.bundle.matching import match
from bulk_upload.core.model import SentBody

NAMES = st.text(alphabet="abc. ", min_size=1, max_size=4)


def member(name: str, size: int = 3, purpose: str = "fine-tune") -> SentBody:
    return SentBody(sent_name=name, purpose=purpose, file_bytes=size, complete=True)


def item(file_id: str, name: str | None, size: int | None = 3, **more: Any) -> dict[str, Any]:
    return {"id": file_id, "filename": name, "bytes": size, "purpose": "fine-tune", **more}


@st.composite
def bundles(draw: st.DrawFn) -> tuple[list[SentBody], list[dict[str, Any]]]:
    """Members with different names, and an honest answer about them in any order."""
    names = draw(st.lists(NAMES, min_size=2, max_size=8, unique=True))
    members = [member(name, draw(st.integers(0, 3))) for name in names]
    items = [item(f"file-{number}", one.sent_name, one.file_bytes) for number, one in enumerate(members)]
    return members, draw(st.permutations(items))


@given(bundles())
def test_order_means_nothing(bundle: tuple[list[SentBody], list[dict[str, Any]]]) -> None:
    """Every member gets the file of its own name, in whatever order the answer has them."""
    members, items = bundle
    matches = match(items, members, FLOW)
    assert [one and one[0]["filename"] for one in matches.items] == [one.sent_name for one in members]
    assert (matches.likely, matches.strays) == ({}, ())


@given(bundles(), st.data())
def test_one_item_says_nothing_of_others(
    bundle: tuple[list[SentBody], list[dict[str, Any]]], data: st.DataObject
) -> None:
    """What is left out, or is added under another name, changes nothing for the members that are named."""
    members, items = bundle
    left = data.draw(st.lists(st.sampled_from(items), unique_by=lambda one: one["id"]))
    strangers = [item(f"other-{n}", f"other-{n}", 9) for n in range(data.draw(st.integers(0, 3)))]
    matches = match(data.draw(st.permutations(left + strangers)), members, FLOW)
    kept = {one["filename"] for one in left}
    for one, found in zip(members, matches.items, strict=True):
        assert (found is not None) is (one.sent_name in kept)
    assert {one.file_id for one in matches.strays} == {one["id"] for one in strangers}


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.integers(),
            st.dictionaries(
                st.sampled_from(["id", "filename", "bytes"]), st.one_of(st.none(), NAMES, st.integers())
            ),
        )
    ),
    st.lists(NAMES, min_size=1, max_size=4),
)
def test_nothing_is_matched_twice(items: list[Any], names: list[str]) -> None:
    """Whatever the answer says, no object is two members', and no id is two members' or a member's and a stray's."""
    matches = match(items, [member(name) for name in names], FLOW)
    found = [one[0] for one in matches.items if one is not None]
    assert len({id(one) for one in found}) == len(found)
    ids = [one["id"] for one in found if isinstance(one.get("id"), str)]
    likely = [one.file_id for one in matches.likely.values()]
    assert len({*ids, *likely}) == len(ids) + len(likely)


def test_a_name_that_is_given_twice_is_nobodys() -> None:
    """Two files of one name: neither is the member's, and both are told."""
    matches = match(
        [item("file-1", "a"), item("file-2", "a"), item("file-3", "b")], [member("a"), member("b")], FLOW
    )
    assert matches.items[0] is None
    assert [one.file_id for one in matches.strays] == ["file-1", "file-2"]
    assert matches.likely == {}


def test_an_id_that_is_given_twice_is_nobodys() -> None:
    """Two files with one id: neither member gets it."""
    matches = match([item("file-1", "a"), item("file-1", "b")], [member("a"), member("b")], FLOW)
    assert matches.items == (None, None)
    assert matches.likely == {}


def test_names_that_two_members_share_match_none() -> None:
    """Members of one name, which no bundle should have, are not told apart by position either."""
    matches = match([item("file-1", "a")], [member("a"), member("a")], FLOW)
    assert matches.items == (None, None)


def test_another_name_and_the_size_of_one_member_alone() -> None:
    """A file under another name is a candidate only where its size and purpose leave one member and one file."""
    members = [member("a", 1), member("b", 2), member("c", 2), member("d", 4, "pre-train")]
    items = [item("file-1", "x", 1), item("file-2", "y", 2), item("file-4", "z", 4)]
    matches = match(items, members, FLOW)
    assert {number: one.file_id for number, one in matches.likely.items()} == {0: "file-1"}
    assert len(matches.strays) == 3


def test_files_without_names_are_nobodys() -> None:
    """An answer without names says of no member whether it is there."""
    matches = match([item("file-1", None), item("file-2", None)], [member("a"), member("b")], FLOW)
    assert matches.items == (None, None)
    assert len(matches.strays) == 2
