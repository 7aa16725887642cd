"""Connects decisions with I/O: feeds entries, holds slots, retries, reconciles, drains."""
