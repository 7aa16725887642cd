"""Decides whether a file that a refusal names, since the server has it already, is what was sent."""

from __future__ import annotations

from bulk_upload.core.doubt.adoption import Adopt, Compared, Doubtful, RuledOut, Sameness


def judge_existing(
    compared: Compared, *, sent_name: str, file_bytes: int, purpose: str, keeps_names: bool
) -> Adopt | RuledOut | Doubtful:
    """Return what the named file is. Its time shows nothing: it may have been sent long ago, by anyone.

    Under another name it is another upload's where the server keeps names (`keeps_names`), whatever its content: a
    receipt for it would never hold. Without its content only the name that was sent, and the size, make it ours.
    """
    file = compared.file
    is_other = (
        file.bytes not in (None, file_bytes)
        or file.purpose not in (None, purpose)
        or (keeps_names and file.filename not in (None, sent_name))
    )
    if is_other or compared.sameness is Sameness.OTHER:
        return RuledOut(frozenset({file.file_id}))
    if compared.sameness is Sameness.SAME:
        return Adopt(file=file, by=compared.by)
    looks_alike = (file.filename, file.bytes) == (sent_name, file_bytes)
    if compared.sameness is Sameness.UNREADABLE and looks_alike:
        return Adopt(file=file, by=compared.by, reason=compared.reason)
    return Doubtful(
        f"{file.file_id} may be it, but its content was not compared ({compared.reason}): check it, then adopt it with "
        "`bulk-upload resolve`"
    )
