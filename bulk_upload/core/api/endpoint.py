"""Addresses: which endpoints are valid, and the default name of an endpoint's ledger."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from bulk_upload.core.text.printable import printable
from bulk_upload.errors import UsageError

# Narrower than RFC 3986: only what is sent unchanged and has one interpretation.
_ADDRESS = re.compile(
    r"https?://([a-z0-9_][a-z0-9._-]*|\[[0-9a-f:.]+\])(:[0-9]*)?(/[a-z0-9._~/%:+-]*)?[?#]?",
    re.ASCII | re.IGNORECASE,
)
_VERSION = "/v1"
_AFTER_PATH = re.compile(r"[?#].*", re.DOTALL)


def endpoint_of(base_url: str, *, allow_plain_http: bool = False, files_path: str = "") -> str:
    """Return the endpoint in a base URL: scheme, host and port, with any path but the API's own at its end.

    That is `/v1`, and what was pasted along of a profile's `files_path`: all of it, or its first names, two at least. One
    name alone may be a gateway's.

    Raises UsageError for an address that is not http(s), has a user name or password, or would send the key
    unencrypted over a network.
    """
    text = base_url.strip()
    if "@" in text:
        # First, and without showing it: every other message repeats the address.
        raise UsageError(
            "the base URL carries a user name or password",
            hint="remove it; the API key comes from a variable (of flow SEEKR_API_KEY) or --api-key-file",
        )
    shown = printable(_AFTER_PATH.sub("?…", text))
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
        if host is not None and ":" in host:
            ipaddress.ip_address(host)
    except ValueError:
        raise _not_an_address(shown) from None
    if _ADDRESS.fullmatch(text) is None or not host or port == 0:
        raise _not_an_address(shown)
    if parts.scheme == "http" and not is_loopback(host) and not allow_plain_http:
        raise UsageError(
            f"the API key would travel unencrypted to {shown}",
            hint="use https, or pass --allow-plain-http if the network in between is yours",
        )
    return f"{parts.scheme}://{_authority(parts, host, port)}{_gateway_path(parts.path, files_path)}"


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def ledger_stem(manifest_stem: str, *, endpoint: str, home_endpoint: str) -> str:
    """Return the default name of a ledger without `.ledger.db`.

    It contains the endpoint unless that is the profile's own, so that a rehearsal never uses the real job's ledger.
    """
    if endpoint == home_endpoint:
        return manifest_stem
    parts = urlsplit(endpoint)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return f"{manifest_stem}@{(parts.hostname or 'host').replace(':', '_')}-{port}"


def _gateway_path(path: str, files_path: str) -> str:
    """Return what of a base URL's path is not the API's own."""
    names = files_path.strip("/").split("/")
    own = [files_path] if len(names) == 1 and files_path else []
    own += ["/" + "/".join(names[:count]) for count in range(len(names), 1, -1)]
    own.append(_VERSION)
    path = path.rstrip("/")
    while (end := next((one for one in own if path.endswith(one)), None)) is not None:
        path = path.removesuffix(end).rstrip("/")
    return path


def _authority(parts: SplitResult, host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    if port is None or port == {"http": 80, "https": 443}[parts.scheme]:
        return shown
    return f"{shown}:{port}"


def _not_an_address(shown: str) -> UsageError:
    return UsageError(
        f"{shown!r} is not the address of a server",
        hint="--base-url looks like https://flow.seekr.com or http://127.0.0.1:8099",
    )
