"""Examples of training data, for people to read."""

from bulk_upload.report.examples.rendered import rendered

__all__ = ["rendered"]
