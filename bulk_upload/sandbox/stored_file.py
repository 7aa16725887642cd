"""A file as the server has it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file as the server has it. `path` is None when only the digest was kept; `number` is the journal's."""

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
    listed_from_s: float = 0.0
