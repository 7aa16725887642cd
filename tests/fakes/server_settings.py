"""How a fake server behaves apart from its faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How a server behaves apart from its faults. Times are seconds.

    Args:
        capacity: more requests than this at once are answered with 429.
        latency_s: between these a connection is made and an answer prepared; one in twenty takes ten times as
            long.
        bytes_per_s: of each upload.
        list_lag_s: a stored file appears in the list at most this much later.
        page_max: how many files a page of the list has at most, whatever is asked for.
        clock_ahead_s: the server's clock minus true time.
        has_date: whether answers have a `Date` header.
        answers_created_at: whether an answer to an upload says when the file was made; the list always does.
        date_ahead_s: the clock of `Date` minus true time, by default as `clock_ahead_s`.
        created_form: how times are written: `utc`, `seconds`, `unix`, `unix_ms`, or `local`, without a zone.
        named_wait_s: between these a Retry-After asks to wait.
        name_of: the name that the server gives to a file sent under another one; `purpose_of` the same for purposes.
        has_numbers: whether ids are numbers.
        list_ahead_s: how far times in the list are off, answers apart.
        returns_content: whether contents can be read back.
        serves_ranges: whether they can be read in ranges, too.
        id_of: the id of a file by its name and content; the one that has it already is kept if the content is equal, else
            replaced.
    """

    capacity: int = 1_000_000
    latency_s: tuple[float, float] = (0.01, 0.1)
    bytes_per_s: float = 2e6
    list_lag_s: float = 0.0
    page_max: int = 1_000_000
    clock_ahead_s: float = 0.0
    has_date: bool = True
    answers_created_at: bool = True
    date_ahead_s: float | None = None
    created_form: str = "utc"
    named_wait_s: tuple[int, int] = (1, 5)
    name_of: Callable[[str], str] = str
    purpose_of: Callable[[str], str] = str
    has_numbers: bool = False
    list_ahead_s: float = 0.0
    returns_content: bool = True
    serves_ranges: bool = True
    id_of: Callable[[str, bytes], str] | None = None
