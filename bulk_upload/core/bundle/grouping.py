"""Which files go together in one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.model import Entry

FILES_MIN = 2
FILES_MAX = 64
"""Beyond so many files a request little is left to gain, and more is in doubt at once (measured: 3,000 files of 4 KiB at
50 ms a request). A run prepares as many small files at once."""


def require_bundles(profile: Profile, files_max: int | None) -> None:
    """Raise UsageError where bundles are asked for that a profile cannot have."""
    if files_max is None or profile.takes_bundles:
        return
    lacks = "has no bulk-path" if profile.bulk_path is None else "cannot settle a lost answer from its list"
    raise UsageError(
        f"the profile {profile.name} takes one file in a request, not several: it {lacks}",
        hint="leave --bundle out; docs/reference/profiles.md says what a profile needs for bundles",
    )


class Member(NamedTuple):
    """What decides which bundle a file may be in. `twin_name` is its sent name as twins share it; `agent` holds the file, None
    for this process."""

    purpose: str
    twin_name: str
    agent: str | None = None


def may_join(entry: Entry) -> bool:
    """Whether an entry has nothing but file and purpose: all that a request with several files can say."""
    return entry.vector_database_id is None and not entry.fields


def bundles_of(members: Sequence[Member], files_max: int) -> list[list[int]]:
    """Return the numbers of the members that go together, each in one bundle, in order of their first members.

    All of a bundle have one purpose and are held by one sender, and no two of them have names that a server may make one
    name of. One that is left alone is a bundle of one.
    """
    bundles: list[list[int]] = []
    names: list[set[str]] = []
    of_kind: dict[tuple[str, str | None], list[int]] = {}
    for number, member in enumerate(members):
        name = member.twin_name
        with_room = of_kind.setdefault((member.purpose, member.agent), [])
        for place in with_room:
            if name not in names[place]:
                break
        else:
            place = len(bundles)
            with_room.append(place)
            bundles.append([])
            names.append(set())
        bundles[place].append(number)
        names[place].add(name)
        if len(bundles[place]) >= files_max:
            with_room.remove(place)
    return bundles
