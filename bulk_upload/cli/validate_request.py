"""What `validate` was asked for: files, a manifest or a folder, and the rules for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.endpoint import endpoint_of
from bulk_upload.core.folder.sightings import FolderRequest
from bulk_upload.core.manifest.rules import ManifestRules
from bulk_upload.core.objects.address import is_prefix
from bulk_upload.core.purposes import known_purposes
from bulk_upload.edge.folder.place import is_folder
from bulk_upload.job_plan import JobPlanner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk_upload.cli.dataset.options import SurveyRequest
    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.objects.options import SourceOptions
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.validation.rules import RuleChoice
    from bulk_upload.edge.source_tree import SourceTree


class ValidateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line requests. `job_count` None means one per processor.

    `sources` say how stores of objects are reached. `base_url` and `ledger` say which ledger knows the purposes of a folder's files.
    """

    paths: tuple[str, ...]
    purpose: str | None
    root: str | None
    follow_symlinks: bool
    allow_outside: bool
    force: bool
    profile: Profile
    purposes: Mapping[str, Purpose]
    schema_file: str | None
    choice: RuleChoice
    thorough: bool
    quarantine: str | None
    private: bool
    job_count: int | None
    output_format: str
    quiet: bool
    mappings: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    newer_than_ns: int | None = None
    base_url: str | None = None
    ledger: str | None = None
    survey: SurveyRequest | None = None
    sources: tuple[SourceOptions, ...] = ()
    allow_plain_http: bool = False

    def folder_request(self) -> FolderRequest | None:
        """Return what is wanted of files and folders; None where no folder is among the paths."""
        if any(map(is_folder, self.paths)) or any(map(is_prefix, self.paths)):
            return FolderRequest(
                paths=self.paths,
                purpose=self.purpose,
                mappings=self.mappings,
                include=self.include,
                exclude=self.exclude,
                newer_than_ns=self.newer_than_ns,
                follow_symlinks=self.follow_symlinks,
            )
        return None

    def planner(self) -> JobPlanner:
        """Return what lists a folder as a run would. Raises UsageError for an address that cannot be used."""
        endpoint = endpoint_of(
            self.base_url or self.profile.base_url,
            # Nothing is sent: the address only names a ledger.
            allow_plain_http=True,
            files_path=self.profile.files_path,
        )
        return JobPlanner(Connection(endpoint=endpoint, profile=self.profile), purposes=self.purposes)

    def rules(self, *, where: str, tree: SourceTree) -> ManifestRules:
        """Return the rules a manifest is read by."""
        return ManifestRules(
            where=where,
            root=tree.root,
            root_as_typed=tree.root_as_typed,
            allow_outside=self.allow_outside,
            default_purpose=self.purpose,
            purposes=known_purposes(self.profile.purposes, self.purposes),
            allow_unknown_purpose=self.force,
            file_field=self.profile.file_field,
            allow_plain_http=self.allow_plain_http,
        )
