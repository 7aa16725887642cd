"""The options that say how to reach a server: its key, its certificates, the proxy before it."""

from __future__ import annotations

import functools
import os
import shlex
import stat
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import click

from bulk_upload.cli.output import hide, tell
from bulk_upload.cli.units import POSITIVE_DURATION, WORD
from bulk_upload.core.display import printable
from bulk_upload.core.endpoint import is_loopback
from bulk_upload.core.network import Network
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

KEY_VARIABLE = "SEEKR_API_KEY"
_COMMAND_S_MAX = 60

_OPTIONS = (
    click.option(
        "--api-key-file",
        type=WORD,
        metavar="FILE",
        help=f"Read the API key from a file only you can read (default: ${KEY_VARIABLE}). Re-read once if the "
        "server refuses the key.",
    ),
    click.option(
        "--api-key-command",
        type=WORD,
        metavar="COMMAND",
        help="Run a command that prints the API key. Re-run once if the server refuses the key.",
    ),
    click.option(
        "--allow-plain-http",
        is_flag=True,
        help="Send the key unencrypted to a server other than this machine.",
    ),
    click.option(
        "--stall",
        type=POSITIVE_DURATION,
        default="60s",
        show_default=True,
        help="Abort a request after this long without progress.",
    ),
    click.option(
        "--proxy",
        type=WORD,
        metavar="URL",
        help="HTTP proxy (default: $HTTPS_PROXY, $HTTP_PROXY, $NO_PROXY). Use the variable for a password.",
    ),
    click.option(
        "--ca-file",
        type=WORD,
        metavar="FILE",
        help="Trust these CA certificates (PEM) instead of the system's.",
    ),
    click.option("--client-cert", type=WORD, metavar="FILE", help="Client certificate (PEM)."),
    click.option(
        "--client-key",
        type=WORD,
        metavar="FILE",
        help="Key of the client certificate (PEM), if not in the same file.",
    ),
    click.option(
        "--insecure",
        is_flag=True,
        help="Do not verify the server's certificate. Others may read key and files.",
    ),
)


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command."""
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_OPTIONS), command)


def network_of(options: dict[str, Any], endpoint: str) -> Network:
    """Return the way to an endpoint that options and environment mean. Raises UsageError."""
    if options["insecure"]:
        tell(
            "WARNING: --insecure: the server's certificate is not verified; others may read the key and the files"
        )
    return Network(
        proxy=_usable_proxy(options["proxy"] or _proxy_of_environment(endpoint)),
        ca_file=options["ca_file"],
        client_cert=options["client_cert"],
        client_key=options["client_key"],
        insecure=options["insecure"],
    )


def _proxy_of_environment(endpoint: str) -> str | None:
    parts = urlsplit(endpoint)
    # A variable set for the world outside must not catch a rehearsal on this machine.
    if is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc):
        return None
    return getproxies().get(parts.scheme)


def _usable_proxy(proxy: str | None) -> str | None:
    if proxy is None:
        return None
    # `proxy:3128` is how curl and many variables have it.
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError("the proxy address is invalid", hint="write http://HOST:PORT")
    return url


def api_key_of(options: dict[str, Any]) -> str | Callable[[], str]:
    """Return the API key, or how to read it: from --api-key-file, --api-key-command, else from SEEKR_API_KEY.

    Raises UsageError when there is none, or when what is there cannot be one; the key itself is never shown.
    """
    path, command = options["api_key_file"], options["api_key_command"]
    if path is not None and command is not None:
        raise UsageError(
            "two sources are given for the API key", hint="pass --api-key-file or --api-key-command, not both"
        )
    if path is not None:
        return lambda: _checked_key(_text_in(path), f"in {printable(path)}")
    if command is not None:
        return lambda: _checked_key(_printed_by(command), "printed by --api-key-command")
    key = os.environ.get(KEY_VARIABLE, "")
    if not key.strip():
        raise UsageError(
            "there is no API key",
            hint=f"set {KEY_VARIABLE}, or pass --api-key-file FILE; never put a key on the command line",
        )
    return _checked_key(key, f"in {KEY_VARIABLE}")


def _checked_key(text: str, where: str) -> str:
    key = text.strip()
    hide(key)
    what_and_hint = _what_is_wrong(key)
    if what_and_hint is None:
        return key
    what, hint = what_and_hint
    raise UsageError(f"the API key {where} {what}", hint=hint)


def _what_is_wrong(key: str) -> tuple[str, str] | None:
    if not key:
        return "is empty", "write only the key there, on one line"
    if key.split(maxsplit=1)[0].rstrip(":").lower() == "bearer":
        return "starts with `Bearer`", "remove that word: the server expects only the key"
    if key[0] in "'\"" or key[-1] in "'\"":
        return "is in quotes", "remove the quotes: write only the key"
    if len(key.splitlines()) > 1:
        return "has several lines", "leave only the line with the key"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "contains invalid characters", "copy it again: one line without spaces"
    return None


def _printed_by(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise UsageError(
            "--api-key-command is not a command", hint="write it as in a shell, and close quotes"
        )
    name = printable(words[0])
    try:
        # Its words for people go where ours go; what it prints is a secret.
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_COMMAND_S_MAX, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        reason = error.strerror if isinstance(error, OSError) else "it timed out"
        raise UsageError(
            f"cannot run --api-key-command {name}: {reason}", hint="try the command in a shell"
        ) from None
    if done.returncode:
        raise UsageError(
            f"--api-key-command {name} exited with {done.returncode}", hint="try the command in a shell"
        )
    return done.stdout.decode("utf-8", "replace")


def _text_in(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if stat.S_IMODE(status.st_mode) & 0o077:
                raise UsageError(
                    f"others can read the API key in {printable(path)}",
                    hint=f"chmod 600 {printable(path)}",
                )
            return file.read(10_000)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(
            f"cannot read the API key in {printable(path)}: {reason}",
            hint="check the path given with --api-key-file",
        ) from None
