"""The shares of a bandwidth cap never add up to more than the cap."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_upload.core.fleet.shares import Shares

CAP = 1_000_000.0


def test_shares_follow_the_uploads_that_agents_have() -> None:
    """An agent with three uploads has three times the share of one with a single one, and all of the cap is used."""
    shares: Shares[str] = Shares()
    shares.joined("a")
    shares.joined("b")
    told = shares.divide(CAP, {"a": 3, "b": 1})
    assert told["a"] is not None
    assert told["b"] is not None
    assert 2.9 < told["a"] / told["b"] < 3.1
    assert abs(told["a"] + told["b"] - CAP) < 1.0


def test_a_share_grows_only_by_what_is_given_up() -> None:
    """An agent that joins gets what another one has confirmed to have given up, and not before."""
    shares: Shares[str] = Shares()
    shares.joined("a")
    assert shares.divide(CAP, {"a": 1}) == {"a": CAP}
    shares.confirmed("a")
    shares.joined("b")
    told = shares.divide(CAP, {"a": 1, "b": 1})
    assert list(told) == ["a"]
    assert shares.divide(CAP, {"a": 1, "b": 1}) == {}
    shares.confirmed("a")
    assert list(shares.divide(CAP, {"a": 1, "b": 1})) == ["b"]


def test_no_cap_is_no_share() -> None:
    """Without a cap every agent is told so once, and a cap that comes back binds all of them."""
    shares: Shares[str] = Shares()
    shares.joined("a")
    assert shares.divide(None, {}) == {"a": None}
    assert shares.divide(None, {}) == {}
    assert shares.in_use() is None
    assert shares.divide(CAP, {"a": 1}) == {"a": CAP}
    shares.confirmed("a")
    assert shares.in_use() == CAP


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["join", "leave", "confirm", "divide"]), st.integers(0, 3), st.integers(0, 9)
        ),
        max_size=60,
    )
)
def test_what_agents_may_use_never_exceeds_the_cap(steps: list[tuple[str, int, int]]) -> None:
    """Whatever joins, leaves, confirms late or changes its demand."""
    shares: Shares[int] = Shares()
    demand: dict[int, int] = {}
    for step, key, count in steps:
        match step:
            case "join" if key not in demand:
                shares.joined(key)
                demand[key] = 0
            case "leave":
                shares.left(key)
                demand.pop(key, None)
            case "confirm":
                shares.confirmed(key)
            case _:
                if key in demand:
                    demand[key] = count
                shares.divide(CAP, demand)
        in_use = shares.in_use()
        assert in_use is not None
        assert in_use <= CAP * (1 + 1e-9)
