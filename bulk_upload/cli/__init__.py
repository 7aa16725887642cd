"""The command line: parse, call the library, print, exit. Only here is the environment read or text printed."""

from bulk_upload.cli.main import main

__all__ = ["main"]
