"""Addresses: what an endpoint may look like, and where its ledger lies by default."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from bulk_upload.core.display import printable
from bulk_upload.errors import UsageError


def endpoint_of(base_url: str, *, allow_plain_http: bool = False) -> str:
    """Return the endpoint in a base URL: scheme, host and port, with any path but a trailing `/v1`.

    Raises UsageError for what is not an http(s) address, carries a user name or password, or would send the key
    unencrypted over a network.
    """
    shown = printable(base_url)
    try:
        parts = urlsplit(base_url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _not_an_address(shown) from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise _not_an_address(shown)
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "the base URL carries a user name or password",
            hint="remove it; the API key comes from SEEKR_API_KEY or --api-key-file",
        )
    if parts.scheme == "http" and not is_loopback(host) and not allow_plain_http:
        raise UsageError(
            f"the API key would travel unencrypted to {shown}",
            hint="use https, or pass --allow-plain-http if the network in between is yours",
        )
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{_authority(parts, host, port)}{path}"


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

    Any endpoint but the profile's own is named in it, so that a rehearsal never meets the real job.
    """
    if endpoint == home_endpoint:
        return manifest_stem
    parts = urlsplit(endpoint)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return f"{manifest_stem}@{(parts.hostname or 'host').replace(':', '_')}-{port}"


def _authority(parts: SplitResult, host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    if port is None or port == {"http": 80, "https": 443}[parts.scheme]:
        return shown
    return f"{shown}:{port}"


def _not_an_address(shown: str) -> UsageError:
    return UsageError(
        f"{shown!r} is not the address of a server", hint="--base-url looks like https://flow.seekr.com"
    )
