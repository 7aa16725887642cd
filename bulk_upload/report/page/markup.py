"""Text and data as parts of an HTML page, with nothing in them that a browser would interpret."""

from __future__ import annotations

import json
import re
from html import escape
from typing import TYPE_CHECKING

from bulk_upload.core.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CODE = re.compile("`([^`]*)`")
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
# Inside a script element only `<` can begin an end tag or a comment; the separators end a line for old parsers.
_UNSAFE = str.maketrans({"<": "\\u003c", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def inert(text: object) -> str:
    """Return text for an element or an attribute: escaped, and every control character spelled out."""
    return escape(printable(str(text)), quote=True)


def prose(text: str) -> str:
    """Return a sentence as markup; text between backticks becomes code."""
    return _CODE.sub(r"<code>\1</code>", inert(text))


def embedded(value: object) -> str:
    """Return a value as JSON that stays data inside a script element, whatever its strings hold."""
    return _encode(value).translate(_UNSAFE)


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *, kind: str = "") -> str:
    """Return a table whose first cell of a row names it. Heads that begin with `#` are numbers.

    Cells are markup already: pass text through `inert`.
    """
    numbers = [one.startswith("#") for one in heads]
    classes = ['class="number"' if one else "" for one in numbers]
    head = "".join(
        f'<th scope="col" {css}>{inert(name.removeprefix("#"))}</th>'
        for name, css in zip(heads, classes, strict=True)
    )
    body = "".join(
        f'<tr><th scope="row" {classes[0]}>{cells[0]}</th>'
        + "".join(f"<td {css}>{cell}</td>" for cell, css in zip(cells[1:], classes[1:], strict=True))
        + "</tr>\n"
        for cells in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{inert(caption)}">'
        f'<table class="plain {kind}"><caption>{inert(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n"
    )
