"""Text: printable output, wording, times and TOML."""
