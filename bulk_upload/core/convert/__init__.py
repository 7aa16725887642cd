"""Converts the records of a file to the lines of a purpose, with an account of what was changed and left out."""
