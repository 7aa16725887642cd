"""A file as the server has it."""

from __future__ import annotations

from dataclasses import dataclass, field

_Bytes = bytes
"""A file has a field of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file as the server has it. `number` is the journal's.

    Its bytes are at `path`, or are `content`; both are None when only the digest was kept.
    """

    file_id: str
    created_at: str
    filename: str
    purpose: str
    bytes: int
    sha256: str
    team_id: str | None = None
    vector_database_id: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    number: int = 0
    path: str | None = None
    content: _Bytes | None = field(default=None, repr=False)
    listed_from_s: float = 0.0
