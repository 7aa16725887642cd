"""Option types: words, durations, shares and counts as people write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from bulk_upload.cli.options.completion import file_names

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_PART = re.compile(
    r"(?P<value>[0-9]{1,9}(?:\.[0-9]{1,9})?)(?P<unit>ms|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)",
    re.ASCII,
)
_WHOLE = re.compile(rf"(?:{_PART.pattern.replace('?P<value>', '?:').replace('?P<unit>', '?:')})+", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Word(click.ParamType[str]):
    """Any text except an empty one: `--base-url "$URL"` with an unset variable must not silently mean the default."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Return the text as it is."""
        if not str(value).strip():
            self.fail("the value is empty; is a shell variable unset?", param, ctx)
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer files for an option whose help says FILE or DIR."""
        names_file = not {"FILE", "DIR"}.isdisjoint((param.metavar or "").split("|"))
        return file_names(ctx, param, incomplete) if names_file else []


class Duration(click.ParamType[float]):
    """`30s`, `15m` or `15min`, `2h`, `1h30m`, `1.5d`; a bare number is seconds.

    Args:
        positive: whether zero is refused.
    """

    name = "duration"

    def __init__(self, *, positive: bool = False) -> None:
        self._positive = positive

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Return seconds."""
        seconds = float(value) if isinstance(value, int | float) else _seconds(str(value).strip())
        if seconds is None:
            self.fail(
                f"{value!r} is not a duration; write 30s, 15m or 2h; a number without a unit is seconds",
                param,
                ctx,
            )
        if self._positive and seconds <= 0:
            self.fail(f"{value!r} is not above 0; write 30s, for example", param, ctx)
        return seconds

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002 - the same for all
        """Return how help shows the value: what a number without a unit is, and units."""
        return "SECONDS|15m|2h"


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
        if not _NUMBER.fullmatch(number) or (number == text and "." in number):
            self.fail(f"{value!r} is neither a number nor a percentage; write 20 or 5%", param, ctx)
        if number == text:
            return int(number), None
        if float(number) > 100:
            self.fail(f"{value!r} is more than 100%", param, ctx)
        return None, float(number) / 100


def _seconds(text: str) -> float | None:
    if _NUMBER.fullmatch(text):
        return float(text)
    if not _WHOLE.fullmatch(text):
        return None
    return sum(float(part["value"]) * _SECONDS[_letter(part["unit"])] for part in _PART.finditer(text))


def _letter(unit: str) -> str:
    return unit if unit == "ms" else unit[0]


WORD = Word()
DURATION = Duration()
POSITIVE_DURATION = Duration(positive=True)
COUNT_OR_SHARE = CountOrShare()
