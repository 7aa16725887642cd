"""The path of a run's socket, and an address for it that the kernel accepts."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME_BYTES_MAX = 64
ADDRESS_BYTES_MAX = 100
"""An address holds up to 107 bytes on Linux (unix(7)) and 103 on macOS."""

ROOT = 0

_LINK_FOLDER = "/tmp"  # noqa: S108 - for an instant, in a folder of its own that only we may enter
_SOL_LOCAL, _LOCAL_PEERCRED = 0, 1
"""macOS: sys/un.h. The result is a struct xucred, whose second number is the user."""


def socket_path(ledger_path: str) -> str:
    """Return the path of the socket of a ledger's run: beside the ledger, and named after it.

    A long name is replaced by its hash, so that every address can be short enough.
    """
    folder, name = os.path.split(os.path.realpath(ledger_path))
    name += ".control"
    if len(os.fsencode(name)) > NAME_BYTES_MAX:
        name = f".{hashlib.blake2b(os.fsencode(name), digest_size=12).hexdigest()}.control"
    return os.path.join(folder, name)


@contextmanager
def short_address(path: str) -> Iterator[str]:
    """Yield an address for `path` that fits into a socket address, for one bind or connect.

    A path that is too long is reached through a symbolic link to its folder, which is gone afterwards: the kernel
    follows it once, and the socket lies where `path` says.
    """
    if len(os.fsencode(path)) <= ADDRESS_BYTES_MAX:
        yield path
        return
    folder, name = os.path.split(path)
    made = tempfile.mkdtemp(prefix="bu-", dir=_LINK_FOLDER)
    link = os.path.join(made, "d")
    try:
        os.symlink(folder, link)
        try:
            yield os.path.join(link, name)
        finally:
            os.unlink(link)
    finally:
        os.rmdir(made)


def peer_uid(connection: socket.socket) -> int:
    """Return the user at the other end, as the kernel knows it (SO_PEERCRED; LOCAL_PEERCRED on macOS)."""
    if sys.platform == "darwin":
        _, uid = struct.unpack_from("II", connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 76))
    else:
        _, uid, _ = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)
