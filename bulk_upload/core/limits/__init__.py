"""Limits: how many uploads at once, how fast, and when to pause."""
