"""The command that converts a file, as a person can run it."""

from __future__ import annotations

import re

import msgspec

_SAFE = re.compile(r"[A-Za-z0-9_./:@%+=,-]+")

FIX: tuple[str, ...] = ("--fix",)
DROP = "--drop"
PLAIN: tuple[str, ...] = ()


class ConvertCommand(msgspec.Struct, frozen=True, kw_only=True):
    """`bulk-upload convert` for one file.

    `file` is its name from the current folder; `purpose` None leaves the shape as it is; `schema_file` is the one that
    describes the purpose; `output` is where it writes, None for a file beside.
    """

    file: str
    purpose: str | None = None
    schema_file: str | None = None
    output: str | None = None

    def line(self, options: tuple[str, ...] = ()) -> str:
        """Return the command for a shell."""
        # A name that begins with a dash would be taken for an option.
        file = f"./{self.file}" if self.file.startswith("-") and self.file != "-" else self.file
        words = ["bulk-upload", "convert", file]
        if self.purpose is not None:
            words += ["--purpose", self.purpose]
        if self.schema_file is not None:
            words += ["--schema", self.schema_file]
        if self.output is not None:
            words += ["--output", self.output]
        return " ".join(map(_shell_word, (*words, *options)))


def _shell_word(word: str) -> str:
    """Return a word as bash and zsh read it; what is not printable in the form that they have for bytes."""
    if _SAFE.fullmatch(word):
        return word
    if word.isprintable():
        return "'" + word.replace("'", "'\"'\"'") + "'"
    return "$'" + "".join(map(_in_bytes, word)) + "'"


def _in_bytes(character: str) -> str:
    if character in "'\\":
        return f"\\{character}"
    if character.isprintable():
        return character
    # Not by its number in Unicode, which bash on macOS does not know.
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
