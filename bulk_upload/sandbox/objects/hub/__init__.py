"""Buckets as repositories of a Hugging Face Hub: commits, trees in pages, files by redirects, as its API is documented."""

from bulk_upload.sandbox.objects.hub.app import HUB_OWNER, HUB_PATH, HubCalls, build_cdn_app
from bulk_upload.sandbox.objects.hub.history import Histories

__all__ = ["HUB_OWNER", "HUB_PATH", "Histories", "HubCalls", "build_cdn_app"]
