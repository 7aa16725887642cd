"""Makes a job of a folder: which of its files are data, what each is for, and a manifest of them."""
