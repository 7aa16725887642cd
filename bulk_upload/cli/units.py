"""Option types: durations, shares and counts as people write them."""

from __future__ import annotations

import re
from typing import Any

import click

_DURATION = re.compile(r"(?P<value>[0-9]+(?:\.[0-9]+)?)(?P<unit>ms|s|m|h|d)?", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}


class Duration(click.ParamType[float]):
    """`30s`, `15m`, `2h`, `1.5d`; a bare number is seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Return seconds."""
        if isinstance(value, int | float):
            return float(value)
        match = _DURATION.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a duration; write 30s, 15m or 2h", param, ctx)
        return float(match["value"]) * _SECONDS[match["unit"]]


class CountOrShare(click.ParamType[tuple[int | None, float | None]]):
    """`20` or `5%`."""

    name = "N|N%"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[int | None, float | None]:
        """Return a count and a share, one of them None."""
        if isinstance(value, tuple):
            return value
        text = str(value).strip()
        number = text.removesuffix("%")
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", number, re.ASCII) or (number == text and "." in number):
            self.fail(f"{value!r} is neither a number nor a share; write 20 or 5%", param, ctx)
        if number == text:
            return int(number), None
        return None, float(number) / 100


DURATION = Duration()
COUNT_OR_SHARE = CountOrShare()
