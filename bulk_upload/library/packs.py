"""Packs for programs: many JSON Lines files as few, back again, and which id each file has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from anyio.from_thread import start_blocking_portal

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.finding import Severity
from bulk_upload.core.manifest.complaints import Complaints
from bulk_upload.core.manifest.reader import read_manifest
from bulk_upload.core.manifest.rules import ManifestRules
from bulk_upload.core.purposes import known_purposes
from bulk_upload.core.report.json_shapes import PackSummary, UnpackedDifference
from bulk_upload.core.report.member_rows import member_rows, rows_by_path
from bulk_upload.core.validation.rules import RuleChoice
from bulk_upload.core.vendor_purposes import purposes_of
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.edge.manifest_file import ManifestFile
from bulk_upload.edge.pack import PackFolder, PackReader, read_member_list
from bulk_upload.edge.source_tree import SourceTree
from bulk_upload.engine.pack.checked import CheckedPacking
from bulk_upload.engine.pack.summary import packed_summary
from bulk_upload.engine.pack.target import (
    require_folder_here,
    require_manifest_here,
    require_usable,
    writing_to,
)
from bulk_upload.errors import ManifestInvalid, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.model import Entry
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.validation.report import FileReport

SIZE = 256_000_000
"""The size of a pack, at most, that `bulk-upload pack` has as well."""


def pack(
    manifest: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    size: int = SIZE,
    purpose: str | None = None,
    root: str | None = None,
    follow_symlinks: bool = False,
    allow_outside: bool = False,
    force: bool = False,
    profile: Profile = FLOW,
    purposes: Mapping[str, Purpose] | None = None,
    rules: RuleChoice = RuleChoice(),  # noqa: B008 - immutable
    private: bool = False,
) -> PackSummary:
    """Write the JSON Lines files of a manifest as few large ones, as `bulk-upload pack` does; blocks until that is durable.

    `upload(packed.manifest)` sends them. The same call after changes leaves packs whose files are the same as they are.

    Args:
        manifest: names the files.
        output: the folder of the packs, made if missing.
        size: bytes of a pack, at most; a larger file has a pack by itself.
        purpose: of entries that name none.
        root: the folder that relative paths start from, by default the manifest's own.
        follow_symlinks: links may leave the root.
        allow_outside: paths may leave the root.
        force: also pack entries with an unknown purpose.
        profile: whose purposes there are.
        purposes: the rules of each purpose, by default those of the profile.
        rules: which rules apply, and how much they matter.
        private: what is made is readable by its owner only.

    Raises:
        ManifestInvalid: the manifest or a file has errors, see `findings`. Nothing was written.
        UsageError: the manifest cannot be read, the folder is another one's or cannot be written, a file changed meanwhile.
    """
    if size < 1:
        raise UsageError("a pack of no bytes holds nothing", hint="give a size such as 256_000_000")
    manifest, output = os.fspath(manifest), os.fspath(output)
    require_manifest_here(manifest)
    require_folder_here(output)
    known = purposes_of(profile.name) if purposes is None else purposes
    complaints = Complaints()

    def on_report(entry: Entry, report: FileReport) -> None:
        del entry
        for one in report.findings:
            if report.severity_of(one.rule) is Severity.ERROR:
                complaints.add(one)

    with ManifestFile(manifest) as opened:
        tree = SourceTree(opened.root(root), follow_symlinks=follow_symlinks, allow_outside=allow_outside)
        reading = ManifestRules(
            where=opened.name,
            root=tree.root,
            root_as_typed=tree.root_as_typed,
            allow_outside=allow_outside,
            default_purpose=purpose,
            purposes=known_purposes(profile.purposes, known),
            allow_unknown_purpose=force,
            file_field=profile.file_field,
        )
        folder = PackFolder(output, private=private)
        packing = CheckedPacking(
            folder,
            tree,
            where=opened.name,
            size=size,
            purposes=known,
            choice=rules,
            private=private,
            on_complaint=complaints.add,
            on_report=on_report,
            on_bytes=lambda _: None,
        )
        packing.look(read_manifest(opened.lines(), reading))

        async def validate() -> None:
            await packing.validate(job_count=None)

        # An event loop of its own, so that this may be called anywhere.
        with start_blocking_portal(name="bulk-upload-pack") as portal:
            portal.call(validate)
        if complaints.count:
            raise ManifestInvalid(
                f"{complaints.count:,} {'problem' if complaints.count == 1 else 'problems'}; nothing was packed",
                findings=complaints.kept,
                finding_count=complaints.count,
                counts=complaints.by_rule,
                hint="mend what the findings name, and call it again",
            )
        return packed_summary(folder, packing.write())


def unpack(
    folder: str | os.PathLike[str], output: str | os.PathLike[str] | None = None, *, private: bool = False
) -> tuple[UnpackedDifference, ...]:
    """Prove that the files of packs come back byte for byte, and write them to `output`; return what does not come back.

    A file that is there already is never replaced: it must be the same. Blocks.

    Raises UsageError: the folder has no packs, or nothing can be written to `output`.
    """
    folder, output = os.fspath(folder), None if output is None else os.fspath(output)
    if output is not None:
        require_folder_here(output)
    members = read_member_list(PackFolder(folder).member_list)
    if output is not None:
        require_usable(output, [one.path for one in members], private=private)
    reader = PackReader(folder, target=output, private=private, on_bytes=lambda _: None)
    with writing_to(output):
        return tuple(
            UnpackedDifference(
                name=name, detail=(error.strerror or str(error)) if isinstance(error, OSError) else str(error)
            )
            for name, error in reader.read(members)
        )


def read_members(ledger: str | os.PathLike[str], members: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return a dict for each file in the packs of a ledger, with the columns of `ledger export --members`: its path, its id.

    Args:
        ledger: of the manifest of the packs.
        members: the `members.jsonl` that `pack` wrote.

    Raises LedgerUnusable, UsageError.
    """
    with LedgerReader(ledger) as reader:
        rows = member_rows(read_member_list(os.fspath(members)), rows_by_path(reader.rows()))
        return [row._asdict() for row in rows]
