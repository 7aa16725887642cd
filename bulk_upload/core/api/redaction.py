"""Removes secrets from text, as they become known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bulk_upload.core.api.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable


SECRET_CHARS_MIN = 8
"""A shorter key is not secret, and removing it would garble paths: people give a sandbox the key `x`."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LOGIN = re.compile(r"""(?<=://)[^\s/"'<>]*@""")


def without_logins(text: str) -> str:
    """Return `text` with `...@` for the user name and password in every address in it."""
    return _LOGIN.sub("...@", text) if "@" in text else text


def shown_proxy(address: str) -> str:
    """Return a proxy's address, with a scheme or without, as it may be shown: a password may have any character."""
    scheme = _SCHEME.match(address)
    login, at, host = address.rpartition("@")
    return f"{scheme[0] if scheme else ''}...@{host}" if at and login else address


def shown_notify(target: str) -> str:
    """Return the target of `--notify` as it may be shown: paths of addresses and arguments of commands hold tokens."""
    scheme = _SCHEME.match(target)
    if scheme is None:
        program, _, arguments = target.strip().partition(" ")
        return f"{program} ..." if arguments else program
    host, _, path = target[scheme.end() :].rpartition("@")[2].partition("/")
    return f"{scheme[0]}{host.partition('?')[0]}{'/...' if path or '?' in host else ''}"


class Redaction:
    """Knows secrets and removes them. A key that is read again later is known from then on, as the old one still is."""

    def __init__(self) -> None:
        self._secrets: dict[str, Secret] = {}

    def learn(self, secret: str) -> str:
        """Add a secret and return it unchanged."""
        bare = secret.strip()
        if len(bare) >= SECRET_CHARS_MIN:
            self._secrets[bare] = Secret(bare)
        return secret

    def learning(self, api_key: str | Callable[[], str]) -> str | Callable[[], str]:
        """Return a key, or a function that reads it and adds each result here."""
        if isinstance(api_key, str):
            return self.learn(api_key)
        source = api_key
        return lambda: self.learn(source())

    def clean(self, text: str) -> str:
        """Return `text` without any secret that is known, and without passwords in addresses."""
        for secret in self._secrets.values():
            text = secret.redact(text)
        return without_logins(text)
