"""A folder in place of a manifest: which of its files are data, and what each is for."""
