"""Which files go together in one request."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.bundle.grouping import Member, bundles_of, may_join
from bulk_upload.core.model import Entry
from bulk_upload.core.text.name_forms import twin_form

MEMBERS = st.lists(
    st.builds(
        Member, st.sampled_from(["p", "q"]), st.sampled_from(["a 1", "a_1", "b", "c", "d"]).map(twin_form)
    ),
    max_size=40,
)


@given(MEMBERS, st.integers(2, 8))
def test_every_file_is_in_one_bundle(members: list[Member], files_max: int) -> None:
    """Each file is in exactly one bundle, none is too large, and the files of one keep their order."""
    bundles = bundles_of(members, files_max)
    assert sorted(number for one in bundles for number in one) == list(range(len(members)))
    assert all(one == sorted(one) and 1 <= len(one) <= files_max for one in bundles)
    assert [one[0] for one in bundles] == sorted(one[0] for one in bundles)


@given(MEMBERS, st.integers(2, 8))
def test_names_and_purposes(members: list[Member], files_max: int) -> None:
    """All of a bundle have one purpose, and names that no server makes one of."""
    for numbers in bundles_of(members, files_max):
        bundle = [members[number] for number in numbers]
        assert len({one.purpose for one in bundle}) == 1
        assert len({one.twin_name for one in bundle}) == len(bundle)


def test_bundles_are_filled() -> None:
    """Files that may go together do."""
    members = [Member("p", f"{number}") for number in range(10)]
    assert [len(one) for one in bundles_of(members, 4)] == [4, 4, 2]


def test_what_only_a_single_request_can_say() -> None:
    """An entry with a vector database or further fields goes by itself."""
    assert may_join(Entry(path="a", purpose="p", remote_name="b"))
    assert not may_join(Entry(path="a", purpose="p", vector_database_id="v"))
    assert not may_join(Entry(path="a", purpose="p", fields=(("x", "y"),)))
