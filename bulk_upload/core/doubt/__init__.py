"""Entries in doubt: what a comparison of contents says about them."""
