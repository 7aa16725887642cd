"""Folders on disk: where the files of a job lie, their names, and their first bytes."""

from bulk_upload.edge.folder.heads import first_bytes, head_of, own_by_neighbours
from bulk_upload.edge.folder.place import FolderPlace, is_folder, place_of
from bulk_upload.edge.folder.walk import Found, walk

__all__ = [
    "FolderPlace",
    "Found",
    "first_bytes",
    "head_of",
    "is_folder",
    "own_by_neighbours",
    "place_of",
    "walk",
]
