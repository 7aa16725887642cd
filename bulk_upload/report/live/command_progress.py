"""The progress of a command that prepares, checks or compares, as one line of text for any display."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from bulk_upload.core.text.printable import human_bytes
from bulk_upload.report.amounts import rounded
from bulk_upload.report.live.eta import TwoTermPace, whole_seconds
from bulk_upload.report.live.progress import ETA_S_MAX, ETA_SAMPLE_S, RATE_FADE_S
from bulk_upload.report.live.smoothed_rate import SmoothedRate

if TYPE_CHECKING:
    from collections.abc import Callable


class CommandProgress(msgspec.Struct, frozen=True, kw_only=True):
    """What a command does and how much of it is done; a total is None where it is unknown.

    `things` is what is counted, such as `files` or `receipts`. `byte_count` is None where bytes are not counted, and
    `bytes_are_read` says whether the speed is one of bytes. `remarks` are further counts as text, such as `3 errors`.
    """

    doing: str
    count: int
    things: str = "files"
    total: int | None = None
    byte_count: int | None = None
    byte_total: int | None = None
    bytes_are_read: bool = True
    remarks: tuple[str, ...] = ()


class _Part(msgspec.Struct, frozen=True):
    """A piece of the line; pieces of less worth are left out first where space is short."""

    text: str
    worth: int


class HeadwayLine:
    """Formats what `look` returns, with the rate and the remaining time.

    Args:
        look: returns the progress; called by the display, on any thread.
        now: monotonic seconds.
    """

    def __init__(self, look: Callable[[], CommandProgress], now: Callable[[], float]) -> None:
        self._look = look
        self._now = now
        self._rate = SmoothedRate(RATE_FADE_S)
        self._pace = TwoTermPace()
        self._sampled = (now(), 0, 0)
        self._rate.update(now(), 0)

    def words(self, columns: int | None = None) -> str:
        """Return the line; with `columns`, only as much of it as fits, the least important left out first."""
        now = _believable(self._look())
        at = self._now()
        self._sample(at, now)
        parts = [one for one in self._parts(at, now) if one.text]
        while columns is not None and len(parts) > 1 and len(_joined(now.doing, parts)) > columns:
            parts.remove(min(parts, key=lambda one: one.worth))
        return _joined(now.doing, parts)

    def _parts(self, at: float, now: CommandProgress) -> list[_Part]:
        share = _share(now)
        counted = (
            f"{now.count:,} {now.things}"
            if now.total is None
            else f"{now.count:,} of {now.total:,} {now.things}"
        )
        return [
            _Part("" if share is None else f"{int(share * 100)} %", 5),
            _Part(counted, 6),
            _Part(_bytes(now), 3),
            _Part(self._rate_words(at, now), 2),
            _Part(self._eta(now), 4),
            *(_Part(one, 1) for one in now.remarks),
        ]

    def _rate_words(self, at: float, now: CommandProgress) -> str:
        if now.byte_count is not None and now.bytes_are_read:
            return f"{human_bytes(self._rate.update(at, now.byte_count))}/s"
        return f"{rounded(self._rate.update(at, now.count))} {now.things}/s"

    def _sample(self, at: float, now: CommandProgress) -> None:
        since, count, byte_count = self._sampled
        # Without a total of bytes, the rest can only be estimated in files.
        bytes_now = (now.byte_count or 0) if now.byte_total is not None else 0
        if at - since >= ETA_SAMPLE_S:
            self._pace.add(at - since, max(0, now.count - count), max(0, bytes_now - byte_count))
            self._sampled = (at, now.count, bytes_now)

    def _eta(self, now: CommandProgress) -> str:
        if now.total is None or now.count >= now.total:
            return ""
        left_bytes = 0 if now.byte_total is None else max(0, now.byte_total - (now.byte_count or 0))
        left_s = self._pace.left_s(now.total - now.count, left_bytes)
        return "" if left_s is None or left_s >= ETA_S_MAX else f"ETA {whole_seconds(left_s)}"


def _believable(now: CommandProgress) -> CommandProgress:
    """Return it without totals that are already exceeded: they were too low."""
    total = now.total if now.total is not None and now.count <= now.total else None
    byte_total = now.byte_total
    if byte_total is not None and (now.byte_count or 0) > byte_total:
        byte_total = None
    return replace(now, total=total, byte_total=byte_total)


def _joined(doing: str, parts: list[_Part]) -> str:
    return f"{doing}: {', '.join(one.text for one in parts)}"


def _bytes(now: CommandProgress) -> str:
    if now.byte_count is None:
        return ""
    done = human_bytes(now.byte_count)
    return done if now.byte_total is None else f"{done} of {human_bytes(now.byte_total)}"


def _share(now: CommandProgress) -> float | None:
    """Return how much is done, by bytes where their total is known; 100 % is reached only at the end, which needs no
    line."""
    if now.byte_total:
        return min(0.99, (now.byte_count or 0) / now.byte_total)
    return min(0.99, now.count / now.total) if now.total else None
