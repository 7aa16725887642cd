"""The command line: parse, call the library, print, exit. Only this package reads the environment or prints."""

from bulk_upload.cli.main import main

__all__ = ["main"]
