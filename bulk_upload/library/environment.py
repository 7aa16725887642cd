"""The only reading of the environment in the library: when a program asks for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bulk_upload.core.api.endpoint import is_loopback
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from bulk_upload.core.api.profile import Profile


def key_of_environment(profile: Profile) -> str:
    """Return the API key in the variable of a profile. Raises UsageError where there is none."""
    name = profile.key_variable
    key = None if name is None else os.environ.get(name)
    if not key or not key.strip():
        hint = (
            f"set {name}, or pass api_key=" if name else "pass api_key=: the profile names no variable for it"
        )
        raise UsageError("no API key is set", hint=hint)
    return key


def variable(name: str | None) -> str | None:
    """Return the value of a variable that a profile names, None where it names none or the variable is empty."""
    return None if name is None else os.environ.get(name) or None


def proxy_of_environment(endpoint: str) -> str | None:
    """Return the proxy for an endpoint in `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, None for this machine."""
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - help must not wait for an HTTP library

    parts = urlsplit(endpoint)
    # A proxy variable meant for remote servers must not affect a rehearsal on this machine.
    if is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc):
        return None
    return getproxies().get(parts.scheme)


def usable_proxy(proxy: str | None) -> str | None:
    """Return a proxy as a URL. Raises UsageError, which never shows it: it may hold a password."""
    if proxy is None:
        return None
    # `proxy:3128` is the form in curl and many variables.
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError("the proxy address is invalid", hint="write http://HOST:PORT")
    return url
