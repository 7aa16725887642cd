"""What a run of a job would do, and why: needs no key and sends nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bulk_upload.core.manifest.name_template import NameTemplate
from bulk_upload.core.manifest.rules import ManifestRules
from bulk_upload.core.model import EntryState
from bulk_upload.core.purposes import PURPOSES, known_purposes, unknown_to_us
from bulk_upload.core.run.settings import RunSettings, ValidateMode
from bulk_upload.core.validation.mixup.sample import RULE as PURPOSE_MISMATCH
from bulk_upload.edge.ledger import JobIdentity, LedgerReader, Staging, require_same
from bulk_upload.edge.manifest_file import ManifestFile, ledger_path_of
from bulk_upload.edge.source_tree import SourceTree
from bulk_upload.engine.plan import Preparation
from bulk_upload.engine.validation.purpose_check import PurposeCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.run.job import Job
    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.engine.plan import Plan


class JobPlanner:
    """Plans jobs for one server.

    Args:
        connection: the server.
        settings: of the runs that are planned.
        purposes: the rules of each purpose.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        settings: RunSettings | None = None,
        purposes: Mapping[str, Purpose] = PURPOSES,
    ) -> None:
        self._connection = connection
        self._settings = settings or RunSettings()
        self._purposes = purposes

    def ledger_path(self, job: Job) -> str:
        """Return the path of a job's ledger. Raises UsageError for a manifest that has no folder."""
        return ledger_path_of(job, self._connection)

    def plan(
        self,
        job: Job,
        *,
        on_entry: Callable[[PlannedEntry], None] | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Plan:
        """Return what a run of a job would do now; touches nothing, sends nothing. Blocks.

        `on_entry` is called with every entry with its step and the reason for it, in manifest order;
        `on_progress` is called periodically with how many entries were read. Raises ManifestInvalid, LedgerUnusable,
        UsageError.
        """
        ledger_path = self.ledger_path(job)
        known = os.path.exists(ledger_path)
        with ManifestFile(job.manifest) as manifest:
            staging = Staging(None)
            try:
                preparation = self.preparation(job, manifest, staging, on_progress)
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

    def preparation(
        self,
        job: Job,
        manifest: ManifestFile,
        staging: Staging,
        on_progress: Callable[[int], None] | None,
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
            default_purpose=job.purpose,
            purposes=known_purposes(self._connection.profile.purposes, self._purposes),
            allow_unknown_purpose=job.force,
            file_field=self._connection.profile.file_field,
            name_template=None if job.name_template is None else NameTemplate(job.name_template),
        )
        return Preparation(
            rules=rules,
            tree=tree,
            staging=staging,
            profile=self._connection.profile,
            retry=self.settings_for(job).retry,
            retry_renamed=self._settings.retry_renamed,
            ignore_ctime=job.ignore_ctime,
            strict_paths=job.strict_paths,
            purpose_check=self._purpose_check(job, tree, rules.where),
            rules_version=self._rules_version,
            on_progress=on_progress,
        )

    def _purpose_check(self, job: Job, tree: SourceTree, where: str) -> PurposeCheck | None:
        if self._settings.validate is ValidateMode.OFF or PURPOSE_MISMATCH in self._settings.rules.ignored:
            return None
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
