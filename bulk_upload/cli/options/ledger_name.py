"""The argument that names a ledger: a manifest in its place is recognised, and the error names its ledger."""

from __future__ import annotations

import glob
import os
import shlex
from typing import TYPE_CHECKING, Any

from bulk_upload.cli.options.units import Word
from bulk_upload.core.text.printable import printable
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    import click

_MANIFEST_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json", ".csv", ".tsv"})
_DATABASE_HEAD = b"SQLite format 3\0"
_SHOWN_MAX = 3


class LedgerName(Word):
    """A path; one that can only be a manifest's raises LedgerUnusable."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Return the path as it is."""
        path = super().convert(value, param, ctx)
        if (ctx is None or not ctx.resilient_parsing) and _looks_like_a_manifest(path):
            raise LedgerUnusable(f"{printable(path)} is not a ledger; it may be a manifest", hint=_hint(path))
        return path


def _looks_like_a_manifest(path: str) -> bool:
    if os.path.splitext(path)[1].lower() not in _MANIFEST_SUFFIXES or not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(_DATABASE_HEAD)) != _DATABASE_HEAD
    except OSError:
        return False


def _hint(manifest: str) -> str:
    stem = glob.escape(os.path.splitext(manifest)[0])
    found = sorted(one for pattern in ("", "@*") for one in glob.glob(f"{stem}{pattern}.ledger.db"))
    if not found:
        return "give a ledger; `bulk-upload run` creates one beside its manifest, <manifest stem>.ledger.db"
    more = ", ..." if len(found) > _SHOWN_MAX else ""
    return f"its ledger is {' or '.join(map(shlex.quote, found[:_SHOWN_MAX]))}{more}"


LEDGER = LedgerName()
