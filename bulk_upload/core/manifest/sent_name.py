"""The name a file is sent under: one that every server keeps unchanged, without control characters."""

from __future__ import annotations

import re
import unicodedata

from bulk_upload.core.objects.address import name_in

SENT_NAME_BYTES_MAX = 200
"""Well under the 255 bytes most file systems and object stores allow, so that a server may add a prefix."""

_EXTENSION_BYTES_MAX = 20
_REPLACED = frozenset('"\\/')
_NOT_PORTABLE = re.compile(r"[^A-Za-z0-9._-]", re.ASCII)
# Categories: controls, format characters (direction overrides), line and paragraph separators, unassigned.
_REPLACED_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp", "Cn"})


def sent_name(path: str, remote_name: str | None = None) -> str:
    """Return the file name that is sent for an entry: its `remote_name`, else the base name of its path or address.

    The result is NFC, one line, free of quotes, slashes and backslashes (which servers cut or decode in
    different ways), never empty, and at most `SENT_NAME_BYTES_MAX` bytes of UTF-8 with its extension kept.
    Undecodable bytes are spelled `_xNN`. The ledger keeps the original path beside it.
    """
    wanted = remote_name if remote_name is not None else name_in(path)
    if _is_clean(wanted):
        return wanted
    clean = _shortened("".join(_clean(character) for character in unicodedata.normalize("NFC", wanted)))
    return clean if clean.strip(" .") else "_" * max(1, len(clean))


def portable_name(name: str) -> str:
    """Return a name that servers which sanitise names keep unchanged: only letters, digits, dots, dashes and underscores
    of ASCII, no leading dot, and no two dots in a row.

    Accents are dropped, everything else becomes an underscore. Two names may become one.
    """
    plain = "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
    kept = _NOT_PORTABLE.sub("_", plain).replace("..", "__")
    return f"_{kept[1:]}" if kept.startswith(".") else kept


def _is_clean(name: str) -> bool:
    """Whether a name is plain ASCII and needs no change, as nearly all names."""
    return (
        len(name) <= SENT_NAME_BYTES_MAX
        and name.isascii()
        and name.isprintable()
        and _REPLACED.isdisjoint(name)
        and name.strip(" .") != ""
    )


def _clean(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"_x{code - 0xDC00:02x}"
    if 0xD800 <= code <= 0xDFFF or character in _REPLACED:
        return "_"
    return "_" if unicodedata.category(character) in _REPLACED_CATEGORIES else character


def _shortened(name: str) -> str:
    if len(name.encode()) <= SENT_NAME_BYTES_MAX:
        return name
    stem, dot, extension = name.rpartition(".")
    tail = dot + extension
    if not stem or len(tail.encode()) > _EXTENSION_BYTES_MAX:
        stem, tail = name, ""
    room = SENT_NAME_BYTES_MAX - len(tail.encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + tail
