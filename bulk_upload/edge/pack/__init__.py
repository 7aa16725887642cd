"""Packs on disk: their folder, how they are written, and how their members come back."""

from bulk_upload.edge.pack.folder import MANIFEST_NAME, MEMBERS_NAME, PackFolder, read_member_list
from bulk_upload.edge.pack.reading import Differs, NoRoom, PackReader
from bulk_upload.edge.pack.writing import MemberChanged, PackWriter, Sources, sha256_of

__all__ = [
    "MANIFEST_NAME",
    "MEMBERS_NAME",
    "Differs",
    "MemberChanged",
    "NoRoom",
    "PackFolder",
    "PackReader",
    "PackWriter",
    "Sources",
    "read_member_list",
    "sha256_of",
]
