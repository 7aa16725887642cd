"""The job of a folder in place of a manifest: where its files lie, which are wanted, and what each is for."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from bulk_upload.core.folder.selection import Selection
from bulk_upload.core.folder.sightings import GivenPurposes
from bulk_upload.core.manifest.globs import PurposeMap
from bulk_upload.core.objects.address import is_prefix
from bulk_upload.core.purposes import known_purposes, purpose_remedy, unknown_purpose
from bulk_upload.edge.folder.place import place_of
from bulk_upload.edge.ledger import RecordedPurposes
from bulk_upload.engine.folder.known_jobs import place_in_job
from bulk_upload.engine.folder.listing import FolderListing
from bulk_upload.engine.folder.scan import FolderScan
from bulk_upload.engine.objects.scan import ObjectScan, place_of_prefix, require_given
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.folder.sightings import FolderRequest
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.run.job import Job
    from bulk_upload.edge.folder.place import FolderPlace
    from bulk_upload.edge.objects.stores import Stores


class FolderJob(msgspec.Struct, frozen=True, kw_only=True):
    """The job of a folder, or of files beneath one: where these lie, and which of them are wanted."""

    job: Job
    place: FolderPlace
    request: FolderRequest


def folder_job(job: Job, request: FolderRequest, connection: Connection) -> FolderJob:
    """Return the job of a folder, as `JobPlanner.folder_job` does. Raises UsageError, LedgerUnusable."""
    if job.root is not None:
        raise UsageError(
            "a folder is the root of its files: --root is for manifests", hint="leave --root out"
        )
    if is_prefix(request.paths[0]):
        place = place_of_prefix(request.paths[0])
    else:
        place = place_in_job(place_of(request.paths), job, connection)
    return FolderJob(job=replace(job, manifest=place.root), place=place, request=request)


def folder_listing(
    folder: FolderJob,
    *,
    profile: Profile,
    purposes: Mapping[str, Purpose],
    stores: Stores,
    ledger_path: Callable[[], str],
    output: str | None = None,
    on_count: Callable[[int], None] | None = None,
) -> FolderListing:
    """Return the files of a folder, as `JobPlanner.listing` does. Raises UsageError, LedgerUnusable. Blocks.

    `stores` has the objects of a prefix; `ledger_path` returns where the job's ledger is, or would be.
    """
    job, request = folder.job, folder.request
    known = known_purposes(profile.purposes, purposes)
    if request.purpose is not None and request.purpose not in known and not job.force:
        raise UsageError(unknown_purpose(request.purpose), hint=purpose_remedy(request.purpose, known))
    selection = Selection(request.include, request.exclude, newer_than_ns=request.newer_than_ns)
    given = GivenPurposes(
        mapping=PurposeMap.parse(request.mappings, known=known, allow_unknown=job.force), rest=request.purpose
    )
    if is_prefix(folder.place.root):
        require_given(given, place=folder.place)
        objects = ObjectScan(place=folder.place, selection=selection, given=given, stores=stores)
        return FolderListing(objects, on_count=on_count)
    with ExitStack() as opened:
        path = ledger_path()
        ledger = opened.enter_context(RecordedPurposes(path)) if os.path.exists(path) else None
        scan = FolderScan(
            place=folder.place,
            selection=selection,
            given=given,
            candidates=tuple(one for one in purposes.values() if one.name in known),
            recall=(lambda _: {}) if ledger is None else ledger.recall,
            follow_symlinks=request.follow_symlinks or job.follow_symlinks,
            output=output,
        )
        return FolderListing(scan, on_count=on_count)
