"""The command that converts a file, as a person can run it."""

from __future__ import annotations

import msgspec

from bulk_upload.core.text.shell_words import shell_word

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
        return " ".join(map(shell_word, (*words, *options)))
