"""Reads a content a second time where the first answer is not what was sent.

One such answer may be a gateway's page, cut off, or another request's: it must not prove that a file is somebody else's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from bulk_upload.core.doubt.adoption import Sameness
from bulk_upload.core.doubt.content import TWO_CONTENTS, ReadBack, is_same_content

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Look = tuple[Sameness, ReadBack]


async def look_twice(look: Callable[[], Awaitable[Look]]) -> Look:
    """Return how a content compares with what was sent, and what came back; another content only if it came twice.

    Two different ones are no evidence: the sameness is then unknown. Raises what `look` raises.
    """
    sameness, back = await look()
    if sameness is not Sameness.OTHER:
        return sameness, back
    sameness, again = await look()
    read_bytes = back.read_bytes + again.read_bytes
    if sameness is Sameness.OTHER and not is_same_content(back, again):
        return Sameness.UNKNOWN, ReadBack(read_bytes=read_bytes, reason=TWO_CONTENTS)
    return sameness, replace(again, read_bytes=read_bytes)
