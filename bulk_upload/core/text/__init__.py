"""Text: printable, worded, and times and TOML as text."""
