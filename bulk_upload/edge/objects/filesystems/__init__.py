"""Filesystems of fsspec as places of objects, for what obstore lacks."""

from bulk_upload.edge.objects.filesystems.filesystems import Filesystems

__all__ = ["Filesystems"]
