"""Agents on the command line: their options, and the file with their token."""
