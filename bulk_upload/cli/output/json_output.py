"""`--json`: data for programs on standard output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
import msgspec

from bulk_upload.cli.output.streams import put

if TYPE_CHECKING:
    from collections.abc import Callable

_HELP = "Print {}, for programs (docs/reference/json.md)."


def json_option(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option of a command; `what` it prints, such as `one JSON object`."""
    return click.option("--json", "as_json", is_flag=True, help=_HELP.format(what))


def put_json(value: msgspec.Struct) -> None:
    """Print a value as one line of JSON in ASCII: a byte of a path that is not UTF-8 is the escape `\\udcXX`."""
    put(f"{json.dumps(msgspec.to_builtins(value))}\n")
