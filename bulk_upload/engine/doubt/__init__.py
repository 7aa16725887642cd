"""Resolves attempts whose answer was lost."""
