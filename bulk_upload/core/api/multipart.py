"""The bytes around a file in a multipart/form-data body (RFC 7578)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.model import Entry


class Frame(msgspec.Struct, frozen=True):
    """The bytes before and after the file's: the body is `prefix + file + suffix`."""

    prefix: bytes
    suffix: bytes

    def body_bytes(self, file_bytes: int) -> int:
        """Return the Content-Length of a body that carries `file_bytes` of file."""
        return len(self.prefix) + file_bytes + len(self.suffix)


def frame(*, fields: Iterable[tuple[str, str]], file_field: str, filename: str, boundary: str) -> Frame:
    """Return the frame of a form with `fields` first and the file as its last part.

    Fields come before the file so that a streaming parser knows the purpose in time. Names and values are raw
    UTF-8, not percent-encoded: aiohttp's default (`quote_fields=True`) would rename every file with a space,
    and Starlette and Django both store what they read literally. Quotes and backslashes are escaped with a
    backslash, which both decode; they do not decode the `%22` that browsers send. Line breaks become `%0D` and `%0A`.
    """
    before, after, end = _around(tuple(fields), file_field, boundary)
    return Frame(f"{before}{_escaped(filename)}{after}".encode("utf-8", "replace"), end)


def file_heads(
    *, fields: Iterable[tuple[str, str]], file_field: str, filenames: Iterable[str], boundary: str
) -> list[bytes]:
    """Return what goes before each file of a form, as `frame` says it; `fields` are before the first one."""
    before, after, _ = _around(tuple(fields), file_field, boundary)
    heads = []
    for filename in filenames:
        heads.append(f"{before}{_escaped(filename)}{after}".encode("utf-8", "replace"))
        # The line break that ends the file before belongs to the boundary.
        before = f"\r\n{_around((), file_field, boundary)[0]}"
    return heads


def form_end(boundary: str) -> bytes:
    """Return what goes after the last file of a form."""
    return f"\r\n--{boundary}--\r\n".encode("ascii")


def form_fields(entry: Entry, profile: Profile) -> list[tuple[str, str]]:
    """Return the form fields of an entry, purpose first. Those of the entry replace fixed ones of the profile."""
    own = {name for name, _ in entry.fields} if entry.fields else ()
    fields = [] if profile.purpose_field is None else [(profile.purpose_field, entry.purpose)]
    fields += [(name, value) for name, value in profile.form if name not in own]
    if entry.vector_database_id is not None:
        fields.append(("vector_database_id", entry.vector_database_id))
    fields.extend(entry.fields)
    return fields


@lru_cache(maxsize=64)
def _around(fields: tuple[tuple[str, str], ...], file_field: str, boundary: str) -> tuple[str, str, bytes]:
    """Return what goes before a file's name, between the name and the file, and after the file.

    Cached: nearly all files of a run have the same fields.
    """
    before = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_escaped(name)}"\r\n\r\n{value}\r\n'
        for name, value in fields
    )
    return (
        f'{before}--{boundary}\r\nContent-Disposition: form-data; name="{_escaped(file_field)}"; filename="',
        '"\r\nContent-Type: application/octet-stream\r\n\r\n',
        form_end(boundary),
    )


def _escaped(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return escaped.replace("\r", "%0D").replace("\n", "%0A")
