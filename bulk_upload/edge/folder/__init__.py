"""Folders on disk: where the files of a job lie, their names, and their first bytes."""
