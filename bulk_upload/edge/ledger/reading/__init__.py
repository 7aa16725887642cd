"""Reads a ledger: for people and programs, and for those who check or undo a job."""
