"""Makes names at the server from paths, so that files with the same base name differ there."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from bulk_upload.core.objects.address import folder_in, name_in
from bulk_upload.core.text.wording import did_you_mean, quoted
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from bulk_upload.core.model import Entry

PARTS = {
    "name": "the file's base name",
    "stem": "the base name without its last suffix",
    "ext": "the last suffix with its dot; empty if there is none",
    "folder": "the folders of the path, joined by `-`; empty for a file in the root",
    "hash8": "eight hex digits of a hash of path, purpose, vector database and fields: different for every entry",
}
"""The names allowed in braces, and their meaning."""


class NameTemplate(msgspec.Struct, frozen=True):
    """A text with parts of an entry in braces, such as `{folder}-{name}`. Raises UsageError for unknown ones."""

    text: str

    def __post_init__(self) -> None:
        try:
            parts = list(string.Formatter().parse(self.text))
        except ValueError:
            raise _unusable(f"the braces in {quoted(self.text)} do not match") from None
        named = [(name, spec, conversion) for _, name, spec, conversion in parts if name is not None]
        for name, spec, conversion in named:
            if name not in PARTS or spec or conversion:
                raise _unusable(f"{quoted(self.text)} has an unknown part {quoted('{' + name + '}')}", name)
        if not {name for name, _, _ in named} & {"name", "stem", "hash8"}:
            raise _unusable(f"{quoted(self.text)} gives every file of a folder the same name")

    def named(self, entry: Entry) -> Entry:
        """Return the entry with the name that the template makes; one with a name of its own keeps it."""
        if entry.remote_name is not None:
            return entry
        folder, name = folder_in(entry.path), name_in(entry.path)
        stem, dot, suffix = name.rpartition(".")
        if not stem:
            stem, dot, suffix = name, "", ""
        made = self.text.format(
            name=name,
            stem=stem,
            ext=dot + suffix,
            folder=folder.strip("/").replace("/", "-"),
            hash8=entry.key.hex()[:8],
        )
        return replace(entry, remote_name=made)


def _unusable(what: str, name: str = "") -> UsageError:
    known = ", ".join(f"{{{part}}}" for part in PARTS)
    return UsageError(
        f"--name-template: {what}", hint=f"{did_you_mean(name, tuple(PARTS))}The parts are {known}"
    )
