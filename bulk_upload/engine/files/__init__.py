"""Single files at the server: listed, fetched, removed."""
