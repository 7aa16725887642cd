"""`doctor --probe`: one small file is uploaded, found again, read back and deleted."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bulk_upload.core.api.multipart import form_fields
from bulk_upload.core.api.paging import Pager
from bulk_upload.core.model import Accepted, Entry, Fingerprint, InDoubt
from bulk_upload.core.report.probe_checks import Probed
from bulk_upload.core.run.sender import UploadRequest
from bulk_upload.core.run.source import LoadedFile
from bulk_upload.edge.transport import NoAnswer

if TYPE_CHECKING:
    from bulk_upload.core.api.profile import Profile
    from bulk_upload.edge.transport import Transport

PAGES_MAX = 3
"""A file that was just made is on the first pages of a list that has the newest first; others are not read to their end."""


async def probe(
    transport: Transport, profile: Profile, *, purpose: str, content: bytes, sent_name: str
) -> Probed:
    """Upload a file with `content`, look it up, list and read it, and delete it; return what was found.

    Every request is made once: what fails is what the probe is for.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    entry = Entry(path=sent_name, purpose=purpose, line_no=1)
    report = await transport.send(
        UploadRequest(
            attempt_id=1,
            path=sent_name,
            sent_name=sent_name,
            purpose=purpose,
            fields=tuple(form_fields(entry, profile)),
        ),
        LoadedFile(
            content=content,
            content_hash=sha256,
            fingerprint=Fingerprint(size=len(content), mtime_ns=0, inode=0),
        ),
        on_handed=lambda _: None,
        on_cancelled=lambda _: None,
    )
    outcome = report.outcome
    probed = Probed(sent_name=sent_name, content=content, sha256=sha256, outcome=outcome)
    file_id = _id_in(outcome)
    if file_id is None:
        return probed
    try:
        await _ask(transport, profile, probed, file_id)
    finally:
        await _delete(transport, probed, file_id)
    return probed


def _id_in(outcome: object) -> str | None:
    if isinstance(outcome, Accepted):
        return outcome.file_id
    return outcome.candidate_id if isinstance(outcome, InDoubt) else None


async def _ask(transport: Transport, profile: Profile, probed: Probed, file_id: str) -> None:
    try:
        probed.looked_up = await transport.look_up(file_id)
    except NoAnswer as error:
        probed.look_up_error = str(error)
    if profile.can_list:
        try:
            await _list(transport, profile, probed, file_id)
        except NoAnswer as error:
            probed.list_error = str(error)
    if profile.can_read_back:
        try:
            probed.read_back = await transport.read_back(file_id, file_bytes=len(probed.content))
        except NoAnswer as error:
            probed.read_back_error = str(error)


async def _list(transport: Transport, profile: Profile, probed: Probed, file_id: str) -> None:
    pager = Pager.through(profile, pages_max=PAGES_MAX)
    while not pager.at_end and probed.in_list is None:
        page = await transport.list_page(pager.request)
        probed.in_list = next((one for one in page.files if one.file_id == file_id), None)
        problem = pager.turn(page, fresh_count=len(page.files))
        if problem is not None:
            probed.list_error = "" if probed.in_list else f"it is not on the first pages ({problem})"
            return


async def _delete(transport: Transport, probed: Probed, file_id: str) -> None:
    try:
        await transport.delete(file_id)
        probed.is_deleted = await transport.look_up(file_id) is None
    except NoAnswer as error:
        probed.delete_error = str(error)
