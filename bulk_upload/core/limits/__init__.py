"""Limits: how many uploads, how fast, and when none."""
