"""What a run of a job would do, and why: needs no key and sends nothing."""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec.structs import replace

from bulk_upload.core.api.profile import NameAlphabet
from bulk_upload.core.bundle.grouping import require_bundles
from bulk_upload.core.manifest.name_template import NameTemplate
from bulk_upload.core.manifest.rules import ManifestRules
from bulk_upload.core.model import EntryState
from bulk_upload.core.objects.address import is_prefix
from bulk_upload.core.purposes import known_purposes, unknown_to_us
from bulk_upload.core.run.settings import RunSettings, ValidateMode
from bulk_upload.core.validation.rules import PURPOSE_MISMATCH
from bulk_upload.core.vendor_purposes import purposes_of
from bulk_upload.edge.ledger import JobIdentity, LedgerReader, Staging, require_same
from bulk_upload.edge.manifest_file import ManifestFile, ledger_path_of
from bulk_upload.edge.objects.lookup import Lookup
from bulk_upload.edge.objects.stores import Stores
from bulk_upload.edge.source_tree import SourceTree
from bulk_upload.engine.folder.vanished import require_most_files
from bulk_upload.engine.objects.looking import look_up
from bulk_upload.engine.plan import Preparation
from bulk_upload.errors import LedgerOlder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.folder.sightings import FolderRequest
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.run.job import Job
    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.engine.folder.listing import FolderListing
    from bulk_upload.engine.plan import Plan
    from bulk_upload.engine.validation.purpose_check import PurposeCheck
    from bulk_upload.job_folder import FolderJob


class Manifest(Protocol):
    """What entries are read from: a manifest file, or the list of a folder's files."""

    name: str
    path: str

    def root(self, given: str | None) -> str:
        """Return where paths start, which may be `given`."""

    def lines(self) -> Iterator[bytes]:
        """Yield the lines from the first one on."""

    def close(self) -> None:
        """Close it."""


def opened_manifest(job: Job, listing: FolderListing | None = None) -> Manifest:
    """Open the manifest of a job: the file that it names, or the list of its folder. Raises as `ManifestFile` does."""
    if listing is not None:
        return listing.opened()
    return ManifestFile("entries" if job.entries is not None else job.manifest, entries=job.entries)


class JobInput(msgspec.Struct, frozen=True, kw_only=True):
    """A job, with the entries of its folder if it is one.

    `left_out` names, in words, files of the folder that nobody decided to leave out. `is_short` says that there are such
    files, which the verdict of the run counts as failed. `closes` says that the listing is
    closed with the run. `only` is the path of the one file that is wanted of a folder's job, None for all.
    """

    job: Job
    listing: FolderListing | None = None
    left_out: tuple[str, ...] = ()
    is_short: bool = False
    closes: bool = False
    only: str | None = None

    def close(self) -> None:
        """Close the listing, if that is not its maker's to do."""
        if self.closes and self.listing is not None:
            self.listing.close()


class JobPlanner:
    """Plans jobs for one server.

    Args:
        connection: the server.
        settings: of the runs that are planned.
        purposes: the rules of each purpose; by default those of the profile.

    Raises UsageError for bundles that the profile cannot have.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        settings: RunSettings | None = None,
        purposes: Mapping[str, Purpose] | None = None,
    ) -> None:
        self._connection = connection
        self._settings = settings or RunSettings()
        require_bundles(connection.profile, self._settings.bundle)
        self._purposes = purposes_of(connection.profile.name) if purposes is None else purposes

    def ledger_path(self, job: Job) -> str:
        """Return the path of a job's ledger. Raises UsageError for a manifest that has no folder."""
        return ledger_path_of(job, self._connection)

    def folder_job(self, job: Job, request: FolderRequest) -> FolderJob:
        """Return the job of a folder, or of files beneath one. Its manifest is the folder.

        A folder beneath one that was uploaded as a whole is a part of that job. The place may be a prefix of objects. Raises UsageError, LedgerUnusable.
        """
        from bulk_upload.job_folder import folder_job  # noqa: PLC0415 - a manifest needs none of it

        return folder_job(job, request, self._connection)

    def listing(
        self,
        folder: FolderJob,
        *,
        output: str | None = None,
        on_count: Callable[[int], None] | None = None,
    ) -> FolderListing:
        """Return the files of a folder, and what each is for; touches nothing, sends nothing. Blocks.

        The job is planned and run with this listing. A file has the purpose that the request gives it; else the one under which the ledger has it; else the only one that
        takes such a file, by its first lines. The others are left undecided: `FolderListing.decide`. Files that
        bulk-upload itself wrote are not listed.

        Args:
            folder: of `folder_job`.
            output: a file to leave out.
            on_count: called with the number of files that were found so far.

        Raises:
            UsageError: there is no such file or folder, a pattern or a purpose cannot be used, or the ledger has no place.
            LedgerUnusable: the ledger cannot be read.
        """
        from bulk_upload.job_folder import folder_listing  # noqa: PLC0415 - a manifest needs none of it

        return folder_listing(
            folder,
            profile=self._connection.profile,
            purposes=self._purposes,
            stores=self.stores(folder.job),
            ledger_path=partial(self.ledger_path, folder.job),
            output=output,
            on_count=on_count,
        )

    def plan(
        self,
        job: Job,
        *,
        listing: FolderListing | None = None,
        on_entry: Callable[[PlannedEntry], None] | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Plan:
        """Return what a run of a job would do now; touches nothing, sends nothing. Blocks.

        `listing` has the entries of a folder's job; `on_entry` is called with every entry with its step and the reason for it, in manifest order;
        `on_progress` is called periodically with how many entries were read. Raises ManifestInvalid, LedgerUnusable,
        UsageError.
        """
        ledger_path = self.ledger_path(job)
        known = os.path.exists(ledger_path)
        with closing(opened_manifest(job, listing)) as manifest:
            staging = Staging(None)
            try:
                preparation = self.preparation(job, manifest, staging, on_progress, listing=listing)
                if known:
                    if self._follows(ledger_path, job, preparation.tree.root):
                        # As a run would: what another address rejected says nothing about this one.
                        retry = preparation.retry | {EntryState.REJECTED}
                        preparation = replace(preparation, retry=retry)
                    staging.attach(ledger_path)
                plan = preparation.plan(manifest.lines())
                if on_entry is not None:
                    for page in staging.pages():
                        for one in page:
                            on_entry(one)
                return plan
            finally:
                staging.close()

    def require_most_files(self, job: Job, listing: FolderListing) -> None:
        """Refuse a folder that has lost most of its files, as a plan does, where there is none left to plan. Blocks.

        Raises ManifestInvalid, LedgerUnusable.
        """
        ledger_path = self.ledger_path(job)
        if listing.is_partial or job.files_removed or not os.path.exists(ledger_path):
            return
        staging = Staging(None)
        try:
            with LedgerReader(ledger_path):
                staging.attach(ledger_path)
            root = "/" if is_prefix(job.manifest) else job.manifest
            require_most_files(staging, SourceTree(root), listed_count=listing.entry_count)
        except LedgerOlder:
            # It cannot be read before a run has brought it up to date, and there is nothing to run.
            return
        finally:
            staging.close()

    def preparation(
        self,
        job: Job,
        manifest: Manifest,
        staging: Staging,
        on_progress: Callable[[int], None] | None,
        *,
        listing: FolderListing | None = None,
    ) -> Preparation:
        """Return a planner that reads a job's open manifest into `staging`."""
        tree = SourceTree(
            manifest.root(job.root),
            follow_symlinks=job.follow_symlinks,
            allow_outside=job.allow_outside,
        )
        rules = ManifestRules(
            where=manifest.name,
            root=tree.root,
            root_as_typed=tree.root_as_typed,
            # What lies outside is then refused by the tree, one entry at a time.
            allow_outside=job.allow_outside or not job.strict_paths,
            strict_paths=job.strict_paths,
            default_purpose=job.purpose if listing is None else None,
            purposes=known_purposes(self._connection.profile.purposes, self._purposes),
            allow_unknown_purpose=job.force,
            file_field=self._connection.profile.file_field,
            portable_names=self._connection.profile.name_alphabet is NameAlphabet.PORTABLE,
            name_template=None if job.name_template is None else NameTemplate(job.name_template),
            allow_plain_http=job.plain_sources,
        )
        objects = Lookup(self.stores(job))
        return Preparation(
            rules=rules,
            tree=tree,
            staging=staging,
            profile=self._connection.profile,
            retry=self.settings_for(job).retry,
            retry_renamed=self._settings.retry_renamed,
            retry_missing=self._settings.retry_missing,
            ignore_ctime=job.ignore_ctime,
            strict_paths=job.strict_paths,
            purpose_check=self._purpose_check(job, tree, rules.where),
            rules_version=self._rules_version,
            is_listing=listing is not None,
            is_partial=listing is not None and listing.is_partial,
            may_lose_files=job.files_removed,
            bundle=self._settings.bundle,
            on_progress=on_progress,
            objects=objects,
            look_up=partial(look_up, manifest.lines, rules, objects),
        )

    def stores(self, job: Job) -> Stores:
        """Return the stores of a job's objects."""
        return Stores(job.sources, allow_plain_http=job.plain_sources, stall_s=self._connection.stall_s)

    def _purpose_check(self, job: Job, tree: SourceTree, where: str) -> PurposeCheck | None:
        if self._settings.validate is ValidateMode.OFF or PURPOSE_MISMATCH in self._settings.rules.ignored:
            return None
        from bulk_upload.engine.validation.purpose_check import PurposeCheck  # noqa: PLC0415 - with validation

        return PurposeCheck(
            tree, purposes=self._purposes, where=where, sends_invalid=self.settings_for(job).sends_invalid
        )

    def _rules_version(self, purpose: str) -> str | None:
        if self._settings.validate is ValidateMode.OFF:
            return None
        return self._settings.rules.version_of(self._purposes.get(purpose) or unknown_to_us(purpose))

    def settings_for(self, job: Job) -> RunSettings:
        """Return the settings for a run of a job."""
        if not job.force:
            return self._settings
        retry = self._settings.retry | {EntryState.INVALID}
        return replace(self._settings, retry=retry, sends_invalid=True)

    def identity(self, root: str) -> JobIdentity:
        """Return the identity of a job's ledger, for files beneath `root`."""
        return JobIdentity(
            profile=self._connection.profile.name,
            endpoint=self._connection.endpoint,
            team=self._connection.team,
            root=root,
        )

    def _follows(self, ledger_path: str, job: Job, root: str) -> bool:
        """Whether a run would give the ledger another endpoint. Raises LedgerMismatch if it is another job's."""
        with LedgerReader(ledger_path) as reader:
            facts = reader.job()
            may_have_sent = reader.may_have_sent()
        if facts is None:
            return False
        theirs = JobIdentity(profile=facts.profile, endpoint=facts.endpoint, team=facts.team, root=facts.root)
        ours = self.identity(root)
        require_same(ours, theirs, moved_root=job.moved_root, may_follow=not may_have_sent)
        return ours.endpoint != theirs.endpoint
