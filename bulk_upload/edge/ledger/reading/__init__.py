"""Reads a ledger: for people, for programs, and for `verify` and `undo`."""
