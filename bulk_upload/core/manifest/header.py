"""The header of a manifest in JSON Lines: where its paths start, and where its ledger belongs."""

from __future__ import annotations

import json

import msgspec

_MARK = b'"bulk_upload_manifest"'
_VERSION = 1


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a header says. A relative `root` or `ledger` starts from the manifest's folder.

    Args:
        version: of the header.
        root: base folder of relative paths.
        ledger: of a manifest that is read from a stream; for a server other than the profile's own the name of the server is
            added, as for a manifest on disk.
    """

    version: int = msgspec.field(name="bulk_upload_manifest")
    root: str | None = None
    ledger: str | None = None


def is_header(line: bytes) -> bool:
    """Whether a first line is a header, a right one or not."""
    return _MARK in line and line.lstrip(b"\xef\xbb\xbf \t").startswith(b"{")


def header_of(line: bytes) -> Header:
    """Return what a header says. Raises ValueError with what is wrong with it."""
    try:
        # The standard library's: it accepts escapes that are half of a character, for bytes that are not UTF-8.
        header = msgspec.convert(json.loads(line.removeprefix(b"\xef\xbb\xbf")), Header)
    except (ValueError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if header.version != _VERSION:
        raise ValueError(f"version {header.version} is not known here")
    return header


def header_line(*, root: str, ledger: str) -> bytes:
    """Return the header of a manifest, with its line end."""
    return json.dumps({"bulk_upload_manifest": _VERSION, "root": root, "ledger": ledger}).encode() + b"\n"
