"""This machine: its file systems, and what it is short of."""
