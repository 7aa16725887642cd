"""The two lines between a person and a run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.limits.bottleneck import Bottleneck
from bulk_upload.core.limits.caps import SPANS_MAX, Caps
from bulk_upload.core.limits.timetable import Span, Timetable
from bulk_upload.core.run.control import (
    MESSAGE_BYTES_MAX,
    ControlAnswer,
    ControlRequest,
    ControlStatus,
    caps_after,
    decode_answer,
    decode_request,
    encode,
)

NOW = Caps(concurrency=4, starts_per_s=2.0, paused=True)


def test_what_is_not_named_stays() -> None:
    """Nothing, a number and "none" are three different things."""
    assert caps_after(NOW, decode_request(b"{}")) == NOW
    assert caps_after(NOW, decode_request(b'{"concurrency": 9}')) == Caps(
        concurrency=9, starts_per_s=2.0, paused=True
    )
    assert caps_after(NOW, decode_request(b'{"concurrency": null, "starts_per_s": null}')) == Caps(
        paused=True
    )
    assert caps_after(NOW, decode_request(b'{"paused": false}')).paused is False


def test_a_timetable_comes_as_minutes() -> None:
    """Minutes of the day with the cap from then on; null lifts it."""
    caps = caps_after(NOW, decode_request(b'{"bandwidth": [[480, 2000000.0], [1140, null]]}'))
    assert caps.bandwidth == Timetable((Span(480, 2e6), Span(1140, None)))
    assert caps_after(caps, decode_request(b'{"bandwidth": null}')).bandwidth is None
    with pytest.raises(ValueError, match="later"):
        caps_after(NOW, decode_request(b'{"bandwidth": [[480, null], [480, null]]}'))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        b'{"concurrency": 0}',
        b'{"concurrency": 1025}',
        b'{"concurrency": true}',
        b'{"concurrency": "8"}',
        b'{"starts_per_s": 0}',
        b'{"starts_per_s": -1}',
        b'{"starts_per_s": NaN}',
        b'{"starts_per_s": 1e999}',
        b'{"bandwidth": []}',
        b'{"bandwidth": [[0, 1]]}',
        b'{"bandwidth": [[1440, 5000]]}',
        b'{"bandwidth": 5000}',
        b'{"paused": 1}',
        b'{"paused": null}',
        b'{"delete": "everything"}',
    ],
)
def test_what_is_no_request_is_refused(line: bytes) -> None:
    """Any other line is a ValueError: unknown fields, wrong types, numbers out of bounds."""
    with pytest.raises(ValueError, match=r"."):
        decode_request(line)


@given(line=st.binary(max_size=200))
def test_no_line_does_anything_but_decode_or_fail(line: bytes) -> None:
    """Whatever comes, it is a request or a ValueError."""
    try:
        request = decode_request(line)
    except ValueError:
        return
    assert isinstance(request, ControlRequest)


ASKED: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "concurrency": st.none() | st.integers(1, 1024),
        "concurrency_max": st.none() | st.integers(1, 1024),
        "starts_per_s": st.none() | st.floats(0.01, 1e6),
        "paused": st.booleans(),
        "bandwidth": st.none()
        | st.sets(st.integers(0, 1439), min_size=1, max_size=SPANS_MAX).flatmap(
            lambda minutes: st.tuples(
                *(st.tuples(st.just(one), st.none() | st.floats(1000, 1e15)) for one in sorted(minutes))
            )
        ),
    },
)


@given(asked=ASKED)
def test_a_request_arrives_as_it_was_sent(asked: dict[str, Any]) -> None:
    """One line there, the same request here, and never too long for the other side."""
    request = ControlRequest(**asked)
    line = encode(request)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert len(line) <= MESSAGE_BYTES_MAX
    assert decode_request(line) == request
    assert set(json.loads(line)) == set(asked)


def test_an_answer_arrives_as_it_was_sent() -> None:
    """With all of its status."""
    status = ControlStatus(
        limit=8, reason="x", in_flight=3, parked=0, concurrency=None, concurrency_max=4, starts_per_s=2.5,
        server_starts_per_s=None, bandwidth="1MB/s", bytes_per_s=1e6, paused=True, server_pause_s=1.5,
        held_by="rate", held_s={bottleneck.value: 1.0 for bottleneck in Bottleneck}, draining=False,
    )  # fmt: skip
    answer = ControlAnswer(status=status, changes=("paused",))
    assert decode_answer(encode(answer)) == answer
