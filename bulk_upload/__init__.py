"""Async bulk uploader for AI training data, with concurrency control and a ledger that never lies."""

__version__ = "0.1.0"
