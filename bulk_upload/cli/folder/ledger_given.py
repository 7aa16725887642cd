"""A ledger in the place of a manifest or folder: which command it is for, and what runs its job."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from bulk_upload.core.folder.own_files import is_ledger
from bulk_upload.core.text.shell_words import bare_path_word, path_word
from bulk_upload.core.text.wording import quoted
from bulk_upload.edge.folder.first_bytes import first_bytes
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.edge.manifest_file import comes_by_stream
from bulk_upload.errors import LedgerUnusable, ManifestInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence


def refuse_ledger(paths: Sequence[str]) -> None:
    """Refuse a ledger alone, which names no files to send. Raises ManifestInvalid."""
    if len(paths) != 1 or comes_by_stream(paths[0]) or not is_ledger(first_bytes(paths[0])):
        return
    path = paths[0]
    shows = f"`bulk-upload status {path_word(path)}` shows its job"
    again = _run_again(path)
    raise ManifestInvalid(
        f"{quoted(path)} is a ledger, which says what was uploaded",
        hint=f"{shows}, and `{again}` runs it again"
        if again
        else f"{shows}; a run takes its manifest or folder",
    )


def _run_again(ledger: str) -> str | None:
    """Return the command that runs the job of a ledger again, None where it does not say that."""
    manifests: list[str] = []
    with suppress(LedgerUnusable), LedgerReader(ledger) as reader:
        manifests = reader.manifests()
    found = next((one for one in manifests if os.path.exists(one)), None)
    if found is None:
        return None
    beneath = os.path.relpath(found)
    near = found if beneath.startswith("../") else beneath
    option = "" if _is_beside(ledger, found) else f" --ledger {path_word(ledger)}"
    if os.path.isdir(found):
        return f"bulk-upload {bare_path_word(near)}{option}"
    return f"bulk-upload run {path_word(near)}{option}"


def _is_beside(ledger: str, manifest: str) -> bool:
    """Whether a ledger has the name that a run of the manifest looks for, for some server."""
    stem = (
        os.path.basename(manifest)
        if os.path.isdir(manifest)
        else os.path.splitext(os.path.basename(manifest))[0]
    )
    folder = os.path.realpath(os.path.dirname(os.path.abspath(ledger)))
    name = os.path.basename(ledger)
    is_named = name.startswith((f"{stem}.", f"{stem}@")) and name.endswith(".ledger.db")
    return is_named and folder in (os.path.realpath(os.path.dirname(manifest)), os.path.realpath(manifest))
