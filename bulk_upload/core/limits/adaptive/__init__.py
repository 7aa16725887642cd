"""The controller that finds its own concurrency, and its parts."""

from bulk_upload.core.limits.adaptive.limit import AdaptiveLimit

__all__ = ["AdaptiveLimit"]
