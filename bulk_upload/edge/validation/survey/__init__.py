"""Counts, compares and scans the examples of a file while it is validated. Nothing here is imported where nobody asks for it."""
