"""The mapping from the path of each member of a pack to the file id of its pack."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.model import EntryState
from bulk_upload.core.pack.layout import sent_name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bulk_upload.core.pack.members import Member
    from bulk_upload.core.report.export import ExportRow

NOT_IN_LEDGER = "the ledger does not have the pack"
OLDER_VERSION = "the ledger has another version of the pack"


class MemberRow(NamedTuple):
    """One line of an export of members. Column names and their order are a contract, as in `ExportRow`.

    `status` and `reason` are those of the pack; an `accepted` pack is of exactly the content that the member is in.
    """

    path: str
    purpose: str
    status: str
    file_id: str | None
    first_line: int
    lines: int
    bytes: int
    sha256: str
    pack: str
    reason: str | None = None


def rows_by_path(rows: Iterable[ExportRow]) -> dict[str, ExportRow]:
    """Return the rows of packs by their paths."""
    return {row.path: row for row in rows}


def member_rows(members: Iterable[Member], packs: Mapping[str, ExportRow]) -> Iterator[MemberRow]:
    """Yield a row for each member, in the order of the list. A member whose pack is not accepted has no file id."""
    for member in members:
        status, file_id, reason = _state(member, packs.get(member.pack))
        yield MemberRow(
            path=member.path,
            purpose=member.purpose,
            status=status,
            file_id=file_id,
            first_line=member.first_line,
            lines=member.lines,
            bytes=member.bytes,
            sha256=member.sha256,
            pack=member.pack,
            reason=reason,
        )


def _state(member: Member, row: ExportRow | None) -> tuple[str, str | None, str | None]:
    if row is None:
        return EntryState.PENDING.value, None, NOT_IN_LEDGER
    if row.status != EntryState.ACCEPTED:
        return row.status, None, row.reason
    if row.sha256 is not None:
        is_same = row.sha256 == member.pack_sha256
    else:
        # A receipt without a hash has at least the name, which ends in one.
        is_same = row.sent_name == sent_name_of(member.pack, member.pack_sha256)
    return (row.status, row.file_id, None) if is_same else (EntryState.PENDING.value, None, OLDER_VERSION)
