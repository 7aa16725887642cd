"""Option types for limits: uploads in flight, starts per second, bytes per second over the day."""

from __future__ import annotations

import re
from typing import Any

import click

from bulk_upload.core.limits.caps import (
    BYTES_PER_S_MAX,
    BYTES_PER_S_MIN,
    CONCURRENCY_MAX,
    SPANS_MAX,
    STARTS_PER_S_MAX,
    STARTS_PER_S_MIN,
)
from bulk_upload.core.limits.timetable import Span, Timetable, bandwidth_text

OFF = "off"

_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)
_RATE = re.compile(r"(?P<value>[0-9]{1,9}(?:\.[0-9]{1,9})?)/(?P<unit>s|min|h)", re.ASCII)
_AMOUNT = r"(?P<value>[0-9]{1,12}(?:\.[0-9]{1,9})?)(?P<unit>B|[kK]B?|[MGT]B?|[KMGT]iB?)"
_BANDWIDTH = re.compile(rf"{_AMOUNT}/s", re.ASCII)
_SIZE = re.compile(_AMOUNT, re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?", re.ASCII)
_BITS = re.compile(r"[0-9.]+ ?([kKmMgG]?(bit|bps)|[kKMG]?b)(/s)?", re.ASCII)
_SPAN = re.compile(r"(?P<hour>[01]?[0-9]|2[0-3]):(?P<minute>[0-5][0-9]),(?P<cap>\S+)", re.ASCII)
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_BYTES = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}


class InFlight(click.ParamType[int | None]):
    """A number of uploads in flight, or a word for none.

    Args:
        word: means None: `auto` or `off`.
    """

    def __init__(self, word: str) -> None:
        self._word = word
        self.name = f"{word}|N"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int | None:
        """Return the number, None for the word."""
        text = str(value).strip()
        if text == self._word:
            return None
        if not _COUNT.fullmatch(text):
            self.fail(f"{value!r} is not a number of uploads; write {self._word} or a number", param, ctx)
        if not 1 <= int(text) <= CONCURRENCY_MAX:
            self.fail(f"{text} is not in the range 1<=x<={CONCURRENCY_MAX}", param, ctx)
        return int(text)


class StartRate(click.ParamType[float | None]):
    """`5/s`, `20/min`, `100/h` or `off`."""

    name = "N/s"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float | None:
        """Return starts per second, None for `off`."""
        text = str(value).strip()
        if text == OFF:
            return None
        part = _RATE.fullmatch(text)
        if part is None:
            if _NUMBER.fullmatch(text):
                self.fail(f"{value!r} has no unit of time; write 5/s, 20/min or off", param, ctx)
            self.fail(f"{value!r} is not a rate; write 5/s, 20/min or off", param, ctx)
        rate = float(part["value"]) / _SECONDS[part["unit"]]
        if not rate:
            self.fail("a rate of 0 would never start an upload; `control --pause` pauses a run", param, ctx)
        if not STARTS_PER_S_MIN <= rate <= STARTS_PER_S_MAX:
            self.fail(f"{value!r} is out of range; write 1/h or more", param, ctx)
        return rate


class Bandwidth(click.ParamType[Timetable | None]):
    """`50MB/s`, `off`, or a timetable: `08:00,2MB/s 19:00,off`."""

    name = "SIZE/s"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Timetable | None:
        """Return the timetable, None where there is no cap at any time."""
        if isinstance(value, Timetable):
            return value
        words = str(value).split()
        try:
            if not words:
                raise ValueError(_NOT_A_BANDWIDTH.format(str(value)))
            if len(words) == 1 and "," not in words[0]:
                cap = _cap(words[0])
                return None if cap is None else Timetable.always(cap)
            return _timetable(words)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class LeastRate(click.ParamType[float]):
    """`10kB/s` or `off`: the lowest rate of a body."""

    name = "SIZE/s"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Return bytes per second, 0 for `off`."""
        text = str(value).strip()
        if text in (OFF, "0.0"):
            return 0.0
        part = _BANDWIDTH.fullmatch(text)
        if part is None:
            self.fail(_unit_lacks(text) or f"{value!r} is not a speed; write 10kB/s or off", param, ctx)
        return _bytes_per_s(part)


class Size(click.ParamType[int]):
    """`64MiB`, `10M` or `10MB`, `1GB`, `0B`: a number of bytes."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Return bytes."""
        part = _SIZE.fullmatch(str(value).strip())
        if part is None:
            if _NUMBER.fullmatch(str(value).strip()):
                self.fail(f"{value!r} has no unit, such as B, kB or MB; write 64MiB or 1GB", param, ctx)
            self.fail(f"{value!r} is not a size; write 64MiB or 1GB", param, ctx)
        return int(_bytes_per_s(part))


_NOT_A_BANDWIDTH = "{!r} is not a bandwidth; write 50MB/s, off, or a timetable: '08:00,2MB/s 19:00,off'"


def _unit_lacks(text: str) -> str | None:
    """Return which unit a speed lacks, None where it is wrong in another way."""
    if _NUMBER.fullmatch(text):
        return f"{text!r} has no unit; write {text}MB/s, {text}kB/s or {text}B/s"
    if _SIZE.fullmatch(text):
        return f"{text!r} has no unit of time; write {text}/s"
    return None


def _timetable(words: list[str]) -> Timetable:
    spans = [_span(word) for word in words]
    if len(spans) > SPANS_MAX:
        raise ValueError(f"a timetable has {SPANS_MAX} times at most")
    minutes = [one.from_minute for one in spans]
    if minutes != sorted(set(minutes)):
        raise ValueError("the times of a timetable must increase from midnight")
    return Timetable(tuple(spans))


def _span(word: str) -> Span:
    part = _SPAN.fullmatch(word)
    if part is None:
        raise ValueError(f"{word!r} is not an entry of a timetable; write HH:MM,SIZE/s such as 08:00,2MB/s")
    return Span(int(part["hour"]) * 60 + int(part["minute"]), _cap(part["cap"]))


def _cap(text: str) -> float | None:
    if text == OFF:
        return None
    part = _BANDWIDTH.fullmatch(text)
    if part is None:
        if _BITS.fullmatch(text):
            raise ValueError(f"{text!r} looks like bits; write bytes, such as 2.5MB/s for 20 Mbit/s")
        raise ValueError(_unit_lacks(text) or _NOT_A_BANDWIDTH.format(text))
    # Exact: a printed cap is the same cap when it is typed again.
    cap = _bytes_per_s(part)
    if not cap:
        raise ValueError("a bandwidth of 0 would never send anything; `control --pause` pauses a run")
    if not BYTES_PER_S_MIN <= cap <= BYTES_PER_S_MAX:
        raise ValueError(
            f"{text!r} is not between {bandwidth_text(BYTES_PER_S_MIN)} and {bandwidth_text(BYTES_PER_S_MAX)}"
        )
    return cap


def _bytes_per_s(part: re.Match[str]) -> float:
    from fractions import Fraction  # noqa: PLC0415 - most runs name no bandwidth

    return float(Fraction(part["value"]) * _BYTES[f"{part['unit'].removesuffix('B')}B"])


CONCURRENCY = InFlight("auto")
CONCURRENCY_CAP = InFlight(OFF)
START_RATE = StartRate()
BANDWIDTH = Bandwidth()
LEAST_RATE = LeastRate()
SIZE = Size()
