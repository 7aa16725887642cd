"""Reads the header of a manifest that comes by standard input, and leaves all of it to be read again."""

from __future__ import annotations

import os
import stat
import tempfile

from bulk_upload.core.manifest.header import Header, header_of, is_header
from bulk_upload.core.manifest.rules import LINE_BYTES_MAX

_READ_BYTES = 64 * 1024


def header_of_stream(descriptor: int) -> Header | None:
    """Return the header of the manifest at a descriptor, None where there is none. Blocks until its first line is there.

    What comes by a pipe with a header is copied into an unnamed temporary file, which takes the descriptor's place. Without
    one, what was read of a pipe is lost. Nothing is read of a terminal. Raises OSError, and EOFError where nothing comes.
    """
    if os.isatty(descriptor):
        return None
    is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
    content = os.pread(descriptor, LINE_BYTES_MAX, os.lseek(descriptor, 0, os.SEEK_CUR)) if is_file else b""
    while not is_file and b"\n" not in content and len(content) < LINE_BYTES_MAX:
        piece = os.read(descriptor, _READ_BYTES)
        if not piece:
            break
        content += piece
    if not content:
        raise EOFError
    first_line = content.partition(b"\n")[0]
    if not is_header(first_line):
        return None
    try:
        header = header_of(first_line)
    except ValueError:
        # It is a finding of the manifest; whoever reads it next says so.
        header = None
    if not is_file:
        _replace(descriptor, content)
    return header


def _replace(descriptor: int, content: bytes) -> None:
    with tempfile.TemporaryFile() as copy:
        copy.write(content)
        while piece := os.read(descriptor, _READ_BYTES):
            copy.write(piece)
        copy.seek(0)
        os.dup2(copy.fileno(), descriptor)
