"""Text for people: nothing from a file name or a server may control a terminal or a spreadsheet."""

from __future__ import annotations

COLUMNS_MAX = 100
"""Text for people is wrapped at this width, however wide the terminal is."""


def printable(text: str) -> str:
    """Return `text` with every non-printable character spelled out as an escape.

    Catches control characters, terminal escapes, direction overrides (U+202E) and the lone surrogates that
    stand for undecodable bytes in file names (`\\udc80` .. `\\udcff`, shown as the byte: `\\x80`).
    """
    if text.isprintable():
        return text
    return "".join(_spelled(character) for character in text)


def escaped(text: str) -> str:
    """Return `text` in ASCII: two names that look alike do not look alike in it.

    Letters beyond ASCII become `\\u00e9` or longer, bytes that are not UTF-8 `\\xe9`.
    """
    if text.isascii():
        return printable(text)
    return "".join(_named(character) for character in text)


def _named(character: str) -> str:
    code = ord(character)
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:
        return _spelled(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _spelled(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def human_bytes(count: float) -> str:
    """Return a byte count in decimal units: `999 B`, `1.5 MB`, `2.0 GB`."""
    if abs(count) < 999.5:
        return f"{count:.0f} B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if abs(value) < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} PB"


def human_seconds(seconds: float) -> str:
    """Return a duration in its two largest units: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest_s = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest_s:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"
