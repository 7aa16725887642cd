"""The records of a log besides the run's events, and how both become names and plain values.

The fields of a record are those of the value it is made of: the library's events and the log agree.
"""

from __future__ import annotations

import math
import re
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from bulk_upload.core.events import (
    AgentLost,
    AttemptEnded,
    AttemptStarted,
    ClockStepped,
    Draining,
    EntrySettled,
    Event,
    LimitChanged,
    Preparing,
    ReceiptWithdrawn,
    Snapshot,
)
from bulk_upload.core.model import EntryState, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk_upload.core.finding import Finding


LOG_VERSION = 1
"""Version of the records' format: within one, fields and events may be added, but existing ones keep their meaning."""


class Level(IntEnum):
    """How much a record matters."""

    ERROR = 40
    WARNING = 30
    INFO = 20
    DEBUG = 10
    TRACE = 5


class RunStarted(msgspec.Struct, frozen=True, kw_only=True):
    """A run begins; `settings_from` is the file that settings came from."""

    version: str
    pid: int
    manifest: str
    endpoint: str
    profile: str
    team: str | None
    settings_from: str | None


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the run; logged every 30 s. Counts are of this run."""

    snapshot: Snapshot
    to_send_count: int
    to_send_bytes: int
    accepted_count: int
    accepted_bytes: int
    failed_count: int
    in_doubt_count: int
    attempt_count: int
    request_count: int
    retry_count: int
    throttled_count: int
    to_compare_count: int = 0
    to_compare_bytes: int = 0
    unchanged_count: int = 0


class RunEnded(msgspec.Struct, frozen=True, kw_only=True):
    """The run is over. `states` counts all entries of the manifest; `stop` says why it ended early.

    `dropped_count` entries of the ledger are not in the manifest.
    """

    exit_code: int
    exit_name: str
    states: Mapping[EntryState, int]
    stop: str | None
    elapsed_s: float
    ledger: str
    results: str | None
    dropped_count: int = 0


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """The command ends because of an error; `hint` says what to do next.

    `findings` are the first complaints about the manifest, `finding_count` all of them.
    """

    message: str
    hint: str | None
    exit_code: int
    findings: tuple[Finding, ...] = ()
    finding_count: int = 0


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message for a person that no other record contains."""

    text: str


Record = Event | RunStarted | Progress | RunEnded | Failed | Message
"""Any record of a log."""


def level_of(record: Record) -> Level:
    """Return how much a record matters."""
    match record:
        case AttemptStarted():
            return Level.TRACE
        case AttemptEnded() | LimitChanged() | Preparing():
            return Level.DEBUG
        case EntrySettled(state=state):
            return Level.INFO if state is EntryState.ACCEPTED else Level.WARNING
        case Draining() | ReceiptWithdrawn() | ClockStepped() | AgentLost():
            return Level.WARNING
        case RunEnded(exit_code=code):
            return Level.INFO if code == 0 else Level.ERROR
        case Failed():
            return Level.ERROR
        case _:
            return Level.INFO


def log_record(
    record: Record, *, at_utc: str, clean: Callable[[str], str] = lambda text: text
) -> dict[str, Any]:
    """Return a record as JSON-compatible values, every text passed through `clean`.

    Args:
        record: an event, or another record of the log.
        at_utc: when it was, as a text; the field `at`.
        clean: removes what no log may hold, such as a key.
    """
    return {
        "v": LOG_VERSION,
        "at": at_utc,
        "level": level_of(record).name.lower(),
        "event": name_of(type(record).__name__),
        **_fields(record, clean),
    }


@lru_cache
def name_of(class_name: str) -> str:
    """Return how the log names a class: `EntrySettled` is `entry_settled`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", class_name).lower()


def _fields(value: Any, clean: Callable[[str], str]) -> dict[str, Any]:  # noqa: ANN401
    found = {name: _plain(getattr(value, name), clean) for name in value.__struct_fields__}
    return {"kind": name_of(type(value).__name__), **found} if isinstance(value, Outcome) else found


def _plain(value: Any, clean: Callable[[str], str]) -> Any:  # noqa: ANN401
    match value:
        case str():
            return clean(str(value))
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int():
            return value
        case dict():
            return {clean(str(key)): _plain(one, clean) for key, one in value.items()}
        case tuple() | list():
            return [_plain(one, clean) for one in value]
        case msgspec.Struct():
            return _fields(value, clean)
        case _:
            return clean(str(value))


def logfmt(values: Mapping[str, Any], encode: Callable[[object], str]) -> str:
    """Return plain values as one line of text: time, level, event, then `name=value` with inner names behind dots.

    `encode` makes JSON of a value that is not one bare word.
    """
    head = f"{values['at']} {values['level']:<7} {values['event']}"
    rest = {name: value for name, value in values.items() if name not in ("v", "at", "level", "event")}
    return " ".join([head, *_pairs("", rest, encode)])


_BARE = re.compile(r"[A-Za-z0-9_./:@%+-]+", re.ASCII)


def _pairs(prefix: str, values: Mapping[str, Any], encode: Callable[[object], str]) -> list[str]:
    pairs: list[str] = []
    for key, value in values.items():
        name = key if _BARE.fullmatch(key) else encode(key)
        if isinstance(value, dict):
            pairs += _pairs(f"{prefix}{name}.", value, encode)
        elif isinstance(value, str) and _BARE.fullmatch(value):
            pairs.append(f"{prefix}{name}={value}")
        elif value is not None and value != []:
            pairs.append(f"{prefix}{name}={encode(value)}")
    return pairs
