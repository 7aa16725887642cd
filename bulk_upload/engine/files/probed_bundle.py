"""`doctor --probe bundles`: two small files are uploaded in one request, listed and deleted."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bulk_upload.core.api.multipart import form_fields
from bulk_upload.core.api.paging import Pager
from bulk_upload.core.model import Accepted, Entry, Fingerprint, InDoubt
from bulk_upload.core.report.bundle_checks import ProbedBundle
from bulk_upload.core.run.sender import BundleRequest, UploadRequest
from bulk_upload.core.run.source import LoadedFile
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.files.probed import PAGES_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.bundle.answer import BundleAnswer
    from bulk_upload.edge.transport import Transport


async def probe_bundle(
    transport: Transport, profile: Profile, *, purpose: str, content: bytes, sent_names: Sequence[str]
) -> ProbedBundle:
    """Upload files with this content in one request, list and delete them; return what was found.

    Their names must be nobody else's: what the list shows under them is deleted, too. Every request is made once.
    """
    # The sizes differ, so that each file can be told by it, too.
    contents = [content * (number + 1) for number in range(len(sent_names))]
    report = await transport.send_bundle(
        BundleRequest(
            members=tuple(
                UploadRequest(
                    attempt_id=number,
                    path=name,
                    sent_name=name,
                    purpose=purpose,
                    fields=tuple(form_fields(Entry(path=name, purpose=purpose), profile)),
                )
                for number, name in enumerate(sent_names, 1)
            )
        ),
        [
            LoadedFile(
                content=one,
                content_hash=hashlib.sha256(one).hexdigest(),
                fingerprint=Fingerprint(size=len(one), mtime_ns=0, inode=0),
            )
            for one in contents
        ],
        on_handed=lambda _: None,
        on_cancelled=lambda _: None,
    )
    probed = ProbedBundle(sent_names=tuple(sent_names), answer=report.answer)
    try:
        await _list(transport, profile, probed)
    except NoAnswer as error:
        probed.list_error = str(error)
    finally:
        await _delete(transport, probed)
    return probed


def _ids_in(answer: BundleAnswer) -> list[str]:
    """Return the ids that the answer gave, of whatever use they are to a run."""
    ids = [one.file_id for one in answer.outcomes if isinstance(one, Accepted)]
    ids += [one.candidate_id for one in answer.outcomes if isinstance(one, InDoubt) and one.candidate_id]
    return ids


async def _list(transport: Transport, profile: Profile, probed: ProbedBundle) -> None:
    pager = Pager.through(profile, pages_max=PAGES_MAX)
    while not pager.at_end and len(probed.listed) < len(probed.sent_names):
        page = await transport.list_page(pager.request)
        for one in page.files:
            if one.has_id and one.filename in probed.sent_names:
                probed.listed[str(one.filename)] = one.file_id
        if pager.turn(page, fresh_count=len(page.files)) is not None:
            return


async def _delete(transport: Transport, probed: ProbedBundle) -> None:
    """Delete what is known of; name what may be left."""
    left = []
    names = {file_id: name for name, file_id in probed.listed.items()}
    for file_id in dict.fromkeys([*_ids_in(probed.answer), *names]):
        try:
            await transport.delete(file_id)
        except NoAnswer:
            left.append(names.get(file_id, file_id))
    if probed.list_error and not _ids_in(probed.answer):
        left += probed.sent_names
    probed.left = tuple(left)
