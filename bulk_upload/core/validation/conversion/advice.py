"""The findings that a conversion puts right, and what is said about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.shapes.command import FIX, PLAIN

if TYPE_CHECKING:
    from bulk_upload.core.shapes.command import ConvertCommand


class Advice(NamedTuple):
    """What a conversion does, and the options that it needs."""

    words: str
    options: tuple[str, ...] = PLAIN


ADVICE = {
    "utf-16": Advice("Write a copy in UTF-8", FIX),
    "pretty-printed": Advice("Write a copy with one object on each line"),
    "json-array": Advice("Write a copy with one object on each line"),
    "byte-order-mark": Advice("Write a copy in UTF-8 without a byte order mark", FIX),
    "crlf": Advice("If a reader objects, write a copy with LF line ends", FIX),
    "cr-lines": Advice("Write a copy with LF line ends", FIX),
    "trailing-comma": Advice("Write a copy without these commas", FIX),
    "double-encoded": Advice("Write a copy with the value itself", FIX),
    "line-separator": Advice("If a reader cuts such lines, write a copy with escapes such as \\u2028", FIX),
    "system-beside-messages": Advice("Write a copy with the system prompt as the first message"),
    "answer-in-messages": Advice("Write a copy with the answer in one place only"),
}
"""Advice for rules whose findings need none of their own."""


def options_for(rule: str, own: str | None, options: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the options of the conversion that puts a finding right, None where none does: see `remedy_for`."""
    advice = ADVICE.get(rule) if own is None else None
    return advice.options if advice is not None and options is None else options


def remedy_for(
    rule: str, own: str | None, usual: str, options: tuple[str, ...] | None, command: ConvertCommand | None
) -> str:
    """Return what to do about a finding: its own remedy or the usual one, with the command where there is one.

    `options` are those of the finding's own conversion, None where it has none.
    """
    advice = ADVICE.get(rule) if own is None else None
    if advice is not None and options is None:
        own, options = advice.words, advice.options
    words = own or usual
    return words if options is None or command is None else f"{words}: {command.line(options)}"
