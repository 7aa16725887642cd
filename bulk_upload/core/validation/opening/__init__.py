"""What a file is, as its first lines show."""
