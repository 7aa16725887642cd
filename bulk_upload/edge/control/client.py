"""The client side: one request, one answer."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

from bulk_upload.core.run.control import MESSAGE_BYTES_MAX, decode_answer, encode
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.control.place import ROOT, peer_uid, short_address, socket_path
from bulk_upload.errors import NoRunAtWork

if TYPE_CHECKING:
    from bulk_upload.core.run.control import ControlAnswer, ControlRequest

ANSWER_S = 30.0
"""How long to wait for an answer: it comes once a change is durable."""


def ask(ledger_path: str, request: ControlRequest, *, answer_s: float = ANSWER_S) -> ControlAnswer:
    """Send a request to the active run of a ledger and return its answer. Blocks. Raises NoRunAtWork."""
    path = socket_path(ledger_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(answer_s)
        try:
            with short_address(path) as address:
                connection.connect(address)
            _require_ours(connection)
        except (FileNotFoundError, ConnectionRefusedError):
            raise NoRunAtWork(
                f"no run is active on {printable(ledger_path)}",
                hint="`bulk-upload run` takes the same limits as options; `bulk-upload status` shows the state of the job",
            ) from None
        except OSError as error:
            raise NoRunAtWork(
                f"cannot reach the run on {printable(ledger_path)}: {error.strerror or error}",
                hint="only the user who started a run, and root, may control it",
            ) from None
        try:
            connection.sendall(encode(request))
            return decode_answer(_line(connection))
        except (OSError, ValueError) as error:
            raise NoRunAtWork(
                f"the run on {printable(ledger_path)} gave no usable answer: {error}",
                hint="it may have ended just now; `bulk-upload status` shows the state of the job",
            ) from None


def _require_ours(connection: socket.socket) -> None:
    """Raise PermissionError when another user listens: in a folder that others may write to, anybody can."""
    ours = os.geteuid()
    if ours != ROOT and peer_uid(connection) not in (ours, ROOT):
        raise PermissionError(errno.EPERM, "another user listens there")


def _line(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n") and len(received) <= MESSAGE_BYTES_MAX:
        piece = connection.recv(MESSAGE_BYTES_MAX)
        if not piece:
            break
        received += piece
    return received
