"""Repositories of the Hugging Face Hub as places of objects."""

from bulk_upload.edge.objects.hub.hub import Hub

__all__ = ["Hub"]
