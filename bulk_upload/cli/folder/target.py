"""What a command was given: a manifest, or files and folders in place of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bulk_upload.cli.options.suggestions import WITHOUT_COMMAND
from bulk_upload.cli.output.streams import tell
from bulk_upload.core.api.redaction import without_logins
from bulk_upload.core.folder.sightings import FolderRequest
from bulk_upload.core.objects.address import is_prefix
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.wording import quoted
from bulk_upload.edge.folder.place import is_folder
from bulk_upload.edge.manifest_file import comes_by_stream, names_files
from bulk_upload.errors import ManifestInvalid, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOR_FOLDERS = {
    "mappings": "--map",
    "include": "--include",
    "exclude": "--exclude",
    "newer_than": "--newer-than",
}


def folder_request_of(paths: tuple[str, ...], options: Mapping[str, Any]) -> FolderRequest | None:
    """Return what is wanted of files and folders; None where `paths` is a manifest, which is then alone.

    A single file is a manifest after `run` and `plan`. Without a command its content decides, and it is said how. Raises UsageError where a manifest is not alone, or where options are for folders only.
    """
    if any(map(is_prefix, paths)):
        _require_alone(paths)
    elif len(paths) == 1 and not is_folder(paths[0]) and (not _is_bare() or _is_manifest(paths[0])):
        refuse_folder_options(paths[0])
        if _is_bare() and not options.get("quiet"):
            name = printable(paths[0])
            tell(f"{name} is a manifest: its lines name files (as in `bulk-upload run {name}`)")
        return None
    elif len(paths) > 1:
        _refuse_manifests(paths)
    return FolderRequest(
        paths=paths,
        purpose=options["purpose"],
        mappings=options["mappings"],
        include=options["include"],
        exclude=options["exclude"],
        newer_than_ns=options["newer_than"],
        follow_symlinks=options["follow_symlinks"],
    )


def _require_alone(paths: tuple[str, ...]) -> None:
    if len(paths) > 1:
        raise UsageError(
            "the address of objects stands alone: they have a job and a ledger of their own",
            hint="run one after the other; a manifest may name objects of several places, and files beside them",
        )


def _refuse_manifests(paths: tuple[str, ...]) -> None:
    """Refuse manifests among several paths. Without a command they are files of a shell's `*.jsonl`, and are left out."""
    found = [one for one in paths if not is_folder(one) and _is_manifest(one)]
    if not found or (_is_bare() and len(found) < len(paths)):
        return
    verb = "is a manifest" if len(found) == 1 else "are manifests"
    others = [one for one in paths if one not in found]
    without = f", without {printable(without_logins(' and '.join(others)))}" if others else ""
    raise UsageError(
        f"{printable(' and '.join(found))} {verb}, and a run takes one manifest, alone{without}",
        hint="run it alone, or leave it out; `bulk-upload scan FOLDER` writes one for a folder, and"
        " `bulk-upload run --help` says what goes together",
    )


def _is_bare() -> bool:
    return bool(click.get_current_context().meta.get(WITHOUT_COMMAND))


def _is_manifest(path: str) -> bool:
    if comes_by_stream(path):
        # Read once: to look into it would be to lose it.
        return True
    try:
        return names_files(path)
    except (UsageError, ManifestInvalid):
        # One that cannot be read, or is empty, is reported as a file.
        return False


def refuse_folder_options(manifest: str) -> None:
    """Refuse options that a manifest leaves no meaning; settings of the file or a variable are for other commands."""
    ctx = click.get_current_context()
    for name, option in _FOR_FOLDERS.items():
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(
                f"{option} chooses among the files of a folder, and {quoted(manifest)} is not one",
                hint="a manifest names its files itself: change its lines, or give the folder in its place",
            )
