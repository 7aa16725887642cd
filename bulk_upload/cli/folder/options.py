"""Options that choose files of a folder and their purposes."""

from __future__ import annotations

import functools
import os
import time
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.units import DURATION
from bulk_upload.core.purposes import PURPOSES

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

_NS_PER_S = 1_000_000_000


class TimeOrFile(click.ParamType[int]):
    """A time, how long ago, or a file that was modified then: Unix time in nanoseconds."""

    name = "TIME|FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Return nanoseconds. A text that is a time is never taken for a file: write `./2026-01-31` for one."""
        if isinstance(value, int):
            return value
        text = str(value).strip()
        # A bare number would be seconds; as a time it may be a year, or a date without dashes.
        if text[-1:].isalpha():
            with suppress(click.BadParameter):
                return time.time_ns() - round(DURATION.convert(text, param, ctx) * _NS_PER_S)
        try:
            # Without a zone a person means the local time.
            return round(datetime.fromisoformat(text).timestamp() * _NS_PER_S)
        except (ValueError, OverflowError, OSError):
            pass
        try:
            return os.stat(text).st_mtime_ns
        except (OSError, ValueError):
            self.fail(
                f"{value!r} is neither a time nor a file; write 2026-01-31, '2026-01-31 18:00', 36h, or a file's name",
                param,
                ctx,
            )

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer files."""
        return file_names(ctx, param, incomplete)


class Paths(click.Argument):
    """A manifest, or files and folders: from the command line, or one from bulk-upload.toml."""

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:  # noqa: ANN401
        """Return the paths; that of a job in the file is a single text."""
        return super().type_cast_value(ctx, (value,) if isinstance(value, str) else value)


MAP = click.option(
    "--map",
    "mappings",
    metavar="PATTERN=PURPOSE",
    multiple=True,
    help="Set the purpose of matching files of a folder; repeatable, the first match applies. "
    f"Purposes: {', '.join(PURPOSES)}.",
)
_SELECTION = (
    click.option(
        "--include",
        metavar="PATTERN",
        multiple=True,
        help="Take only matching files of a folder; repeatable. Patterns are those of .gitignore.",
    ),
    click.option(
        "--exclude",
        metavar="PATTERN",
        multiple=True,
        help="Leave out matching files and folders of a folder; repeatable. Patterns are those of .gitignore.",
    ),
    click.option(
        "--newer-than",
        type=TimeOrFile(),
        metavar="TIME|FILE",
        help="Take only files of a folder that were modified after a time (2026-01-31, 36h ago as 36h), or after FILE was.",
    ),
)


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose files of a folder."""
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_SELECTION), command)
