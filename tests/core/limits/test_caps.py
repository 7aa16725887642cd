"""What a person allows, and what a change of it is called."""

from __future__ import annotations

from msgspec.structs import replace

from bulk_upload.core.limits.caps import IN_FLIGHT_MAX, CapChange, Caps, changes
from bulk_upload.core.limits.timetable import Timetable
from bulk_upload.core.run.settings import RunSettings


def test_the_lower_of_both_numbers_holds() -> None:
    """A number in flight, and a number never to go beyond."""
    assert Caps().in_flight_max == IN_FLIGHT_MAX
    assert Caps(concurrency=8).in_flight_max == 8
    assert Caps(concurrency=8, concurrency_max=4).in_flight_max == 4
    assert Caps(concurrency_max=600).in_flight_max == 600


def test_a_run_is_made_for_more_than_it_begins_with() -> None:
    """Who begins with few may ask for more later; who asks for very many has them from the start."""
    assert Caps(concurrency=2, concurrency_max=4).capacity == IN_FLIGHT_MAX
    assert Caps(concurrency=900).capacity == Caps(concurrency_max=900).capacity == 900


def test_the_settings_name_the_caps() -> None:
    """A run begins with what its settings say, and not paused."""
    table = Timetable.always(2e6)
    settings = RunSettings(concurrency=3, concurrency_max=9, rate_per_s=2.0, bandwidth=table)
    assert settings.caps == Caps(concurrency=3, concurrency_max=9, starts_per_s=2.0, bandwidth=table)


def test_every_change_is_named() -> None:
    """One change an option, with what was before; what stays is not named."""
    before = Caps(concurrency=8)
    after = Caps(concurrency_max=16, starts_per_s=5.0, bandwidth=Timetable.always(1e6), paused=True)
    made = changes(before, after)
    assert made == [
        CapChange(what="--concurrency", before="8", after="auto"),
        CapChange(what="--max-concurrency", before="off", after="16"),
        CapChange(what="--rate", before="off", after="5/s"),
        CapChange(what="--bandwidth", before="off", after="1MB/s"),
        CapChange(what="pause", before="running", after="paused"),
    ]
    assert [str(one) for one in made[3:]] == ["--bandwidth: off -> 1MB/s", "paused"]
    assert [one.decision for one in made[3:]] == ["--bandwidth 1MB/s", "paused"]
    assert changes(after, replace(after, paused=False)) == [
        CapChange(what="pause", before="paused", after="resumed")
    ]
    assert changes(before, before) == []
