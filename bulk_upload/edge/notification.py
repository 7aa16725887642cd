"""Brings a short message to a program or to an HTTP address, within a time limit."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp
import anyio

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

COMMAND_S_MAX = 30.0
POST_S_MAX = 15.0


class NotDelivered(Exception):
    """A message may not have arrived; its text says why, without the address."""


async def hand_to_command(words: Sequence[str], data: bytes, env: Mapping[str, str]) -> None:
    """Run a program with `data` as its standard input; its standard output is discarded. Raises NotDelivered."""
    try:
        process = await anyio.open_process(
            list(words), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=None, env=env, start_new_session=True
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise NotDelivered(getattr(error, "strerror", None) or "it cannot be run") from None
    try:
        with anyio.fail_after(COMMAND_S_MAX):
            await _feed(process, data)
            status = await process.wait()
    except TimeoutError:
        raise NotDelivered(f"it did not end within {COMMAND_S_MAX:g} s") from None
    finally:
        if process.returncode is None:
            # With its children: they may hold our streams.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            with anyio.CancelScope(shield=True):
                await process.wait()
    if status:
        raise NotDelivered(f"it exited with {status}")


async def _feed(process: anyio.abc.Process, data: bytes) -> None:
    if process.stdin is None:
        return
    # A program need not read it.
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        await process.stdin.send(data)
    with suppress(OSError):
        await process.stdin.aclose()


async def post(url: str, data: bytes, *, tls: ssl.SSLContext | bool, proxy: str | None) -> None:
    """Send `data` as JSON; any 2xx is good, and no redirect is followed. Raises NotDelivered."""
    timeout = aiohttp.ClientTimeout(total=POST_S_MAX)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(
                url,
                data=data,
                headers={"Content-Type": "application/json"},
                allow_redirects=False,
                ssl=tls,
                proxy=proxy,
            ) as response,
        ):
            status = response.status
    except TimeoutError:
        raise NotDelivered(f"it did not answer within {POST_S_MAX:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # Never its text: the URL may be in it, and the URL may be a secret.
        raise NotDelivered(f"the request failed: {_system_words(error) or type(error).__name__}") from None
    if not 200 <= status < 300:
        raise NotDelivered(f"it answered with HTTP {status}")


def _system_words(error: Exception) -> str | None:
    """Return what the system says of a connection, None where the number is another library's."""
    if isinstance(error, aiohttp.ClientSSLError) or not isinstance(error, OSError):
        return None
    return os.strerror(error.errno) if error.errno is not None and error.errno > 0 else None
