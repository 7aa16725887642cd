"""Texts as words of a command line that a person can copy."""

from __future__ import annotations

import re

_SAFE = re.compile(r"[A-Za-z0-9_./:@%+=,-]+")


def shell_word(text: str) -> str:
    """Return a text as one word for bash and zsh, whatever bytes it has."""
    if _SAFE.fullmatch(text):
        return text
    if text.isprintable():
        return "'" + text.replace("'", "'\"'\"'") + "'"
    spelled = "".join(
        chr(byte) if 0x20 <= byte < 0x7F and chr(byte) not in "'\\" else f"\\x{byte:02x}"
        for byte in text.encode("utf-8", "surrogateescape")
    )
    return f"$'{spelled}'"


def path_word(path: str) -> str:
    """Return a path as one word, never as an option."""
    return shell_word(f"./{path}" if path.startswith("-") else path)


def bare_path_word(path: str) -> str:
    """Return a path as one word that stands for itself without a command: with a slash, it is never taken for one."""
    return shell_word(path if "/" in path else f"./{path}")
