"""Manifests: lines to entries, and the names that entries may have."""
