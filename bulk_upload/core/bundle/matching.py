"""Which file of an answer is which member of a bundle: by name and size, never by position."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from bulk_upload.core.api.responses import file_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.model import ListedFile, SentBody


class Matches(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says of the members of a bundle.

    `items` has, for each member in order, the one object that is about it and the file that this describes, None where
    there is none or not one alone.
    `likely` are files under names that no member has, and each of which can be only one member's by its size; by member.
    `strays` are all the files that are no member's: under other names, without one, or twice.
    """

    items: tuple[tuple[dict[str, Any], ListedFile] | None, ...]
    likely: dict[int, ListedFile]
    strays: tuple[ListedFile, ...]


def match(items: Iterable[object], members: Sequence[SentBody], profile: Profile) -> Matches:
    """Match the objects of an answer with the members of a bundle; the order of neither means anything."""
    described = [(one, file_in(one, profile)) for one in items if isinstance(one, dict)]
    named = Counter([file.filename for _, file in described])
    ids = Counter([file.file_id for _, file in described if file.has_id])
    sent = Counter([one.sent_name for one in members])
    found: dict[str, tuple[dict[str, Any], ListedFile]] = {}
    strays: list[ListedFile] = []
    for one in described:
        file = one[1]
        name = file.filename
        is_alone = name is not None and named[name] == 1 and sent[name] == 1
        # An id that is given twice is nobody's, whatever the names are.
        if name is not None and is_alone and not (file.has_id and ids[file.file_id] > 1):
            found[name] = one
        else:
            strays.append(file)
    return Matches(
        items=tuple([found.get(one.sent_name) for one in members]),
        likely=_likely(
            [(number, one) for number, one in enumerate(members) if one.sent_name not in found],
            [one for one in strays if one.has_id and ids[one.file_id] == 1 and one.filename not in sent],
        ),
        strays=tuple(strays),
    )


def _likely(members: list[tuple[int, SentBody]], strays: list[ListedFile]) -> dict[int, ListedFile]:
    """Return the stray files that have the size and purpose of one member alone, and are alone with it."""
    fitting = {number: [file for file in strays if _fits(file, member)] for number, member in members}
    taken = Counter(file.file_id for files in fitting.values() for file in files)
    return {
        number: files[0]
        for number, files in fitting.items()
        if len(files) == 1 and taken[files[0].file_id] == 1
    }


def _fits(file: ListedFile, member: SentBody) -> bool:
    return file.bytes == member.file_bytes and file.purpose in (None, member.purpose)
