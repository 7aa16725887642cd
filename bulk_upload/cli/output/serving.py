"""`run --serve`: the live page, served by a process of its own, so that it can neither slow nor end the run."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import anyio

from bulk_upload.cli.output.notify import environment_without_keys
from bulk_upload.core.text.printable import printable
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any

GOES_S = 3.0
"""How long the process may take to show the end and to go; it takes far less."""


def address_of(text: str) -> tuple[str, int]:
    """Return the host and port of an address such as `8099`, `127.0.0.1:8099` or `[::1]:8099`; 0 is any free port.

    Raises UsageError.
    """
    host, _, port = text.rpartition(":") if not text.endswith("]") else (text, "", "0")
    if not host and not port.isdigit():
        host, port = text, "0"
    host = "127.0.0.1" if host in ("", "localhost") else host.removeprefix("[").removesuffix("]")
    try:
        number = int(port)
        ipaddress.ip_address(host)
    except ValueError:
        number = -1
    if not text or not 0 <= number <= 65535:
        raise UsageError(
            f"{printable(text)} is no address to serve the live page at",
            hint="write PORT, HOST:PORT or [IPV6]:PORT; where an argument follows, write --serve=ADDRESS",
        )
    return host, number


@contextmanager
def page_served(
    ledger: str, address: tuple[str, int] | None, say: Callable[[str], None], *, control: bool
) -> Iterator[Callable[[], Coroutine[Any, Any, None]] | None]:
    """Serve the live page of a ledger while the block runs; yields a function that says where, once it is known."""
    if address is None:
        yield None
        return
    host, port = address
    words = [sys.executable, "-m", "bulk_upload", "serve", os.path.abspath(ledger), "--with-run"]
    words += [
        "--address",
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        *(["--control"] if control else []),
    ]
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environment_without_keys(), start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        say(f"--serve: the live page cannot be served: {error.strerror}")
        yield None
        return
    try:
        yield lambda: _say_where(process, say)
    finally:
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        try:
            process.wait(GOES_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _say_where(process: subprocess.Popen[bytes], say: Callable[[str], None]) -> None:
    """Say the first line that the process prints: its address, or why it has none."""
    stream = process.stdout
    if stream is None:
        return
    descriptor = stream.fileno()
    said = b""
    while b"\n" not in said:
        try:
            await anyio.wait_readable(descriptor)
            piece = os.read(descriptor, 4096)
        except OSError:
            break
        if not piece:
            break
        said += piece
    line = said.decode("utf-8", "replace").partition("\n")[0].strip()
    say(printable(line or "--serve: the live page ended at once"))
