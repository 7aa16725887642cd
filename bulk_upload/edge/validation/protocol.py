"""The messages between the uploader and its validation processes, over a socket pair."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, TypeVar

import msgspec

from bulk_upload.core.validation.report import FileReport  # noqa: TC001 - messages are made by their annotations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

_LENGTH_BYTES = 4


class Progress(msgspec.Struct, tag=True):
    """How many more bytes were read."""

    byte_count: int


class Done(msgspec.Struct, tag=True):
    """The file was checked."""

    report: FileReport


class Unreadable(msgspec.Struct, tag=True):
    """The file could not be read; `error_no` is errno's."""

    error_no: int
    reason: str


class Broken(msgspec.Struct, tag=True):
    """The check itself failed: a bug."""

    reason: str


Answer = Progress | Done | Unreadable | Broken


def send(channel: socket.socket, message: object, descriptors: Sequence[int] = ()) -> None:
    """Send a message, and with it open files."""
    payload = msgspec.msgpack.encode(message)
    data = len(payload).to_bytes(_LENGTH_BYTES, "big") + payload
    sent = socket.send_fds(channel, [data], list(descriptors)) if descriptors else 0
    channel.sendall(data[sent:])


_decode_answer: Callable[[bytes], Answer] = msgspec.msgpack.Decoder(Answer).decode


def receive(channel: socket.socket) -> Answer:
    """Return the next answer. Raises EOFError when the other side is gone."""
    return _decode_answer(_rest(channel, _exactly(channel, _LENGTH_BYTES)))


def receive_with_file(channel: socket.socket, kind: type[T]) -> tuple[T, int]:
    """Return the next message and the open file that came with it. Raises EOFError when the other side is gone."""
    data, descriptors, _, _ = socket.recv_fds(channel, _LENGTH_BYTES, 1)
    if len(data) < _LENGTH_BYTES:
        data += _exactly(channel, _LENGTH_BYTES - len(data))
    if not descriptors:
        raise EOFError
    return msgspec.msgpack.decode(_rest(channel, data), type=kind), descriptors[0]


def _rest(channel: socket.socket, length: bytes) -> bytes:
    return _exactly(channel, int.from_bytes(length, "big"))


def _exactly(channel: socket.socket, wanted: int) -> bytes:
    pieces = []
    while wanted:
        piece = channel.recv(wanted)
        if not piece:
            raise EOFError
        pieces.append(piece)
        wanted -= len(piece)
    return b"".join(pieces)
