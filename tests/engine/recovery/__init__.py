"""Tests of `bulk_upload.engine.recovery`."""
