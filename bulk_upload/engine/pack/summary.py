"""What a packing did, as programs read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.report.json_shapes import PackSummary

if TYPE_CHECKING:
    from bulk_upload.edge.pack import PackFolder
    from bulk_upload.engine.pack.packing import Packed


def packed_summary(folder: PackFolder, packed: Packed) -> PackSummary:
    """Return what was done, and where the lists are."""
    return PackSummary(
        made=packed.made,
        rebuilt=packed.rebuilt,
        kept_count=packed.kept_count,
        gone=packed.gone,
        member_count=packed.member_count,
        pack_bytes=packed.pack_bytes,
        manifest=folder.manifest,
        members=folder.member_list,
    )
