"""The way to a server: proxy and certificates."""

from __future__ import annotations

import msgspec


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """How connections are made.

    Args:
        proxy: URL of an HTTP proxy; may hold a user name and a password, and is never shown.
        ca_file: PEM file of the authorities to trust instead of the system's.
        client_cert: PEM file with the certificate, and perhaps the key, that this client shows.
        client_key: PEM file with its key.
        insecure: the server's certificate is not checked. Whoever is on the way can read key and files.
    """

    proxy: str | None = None
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    insecure: bool = False

    def __repr__(self) -> str:
        """Leave out the proxy, which may hold a password."""
        return (
            f"Network(ca_file={self.ca_file!r}, client_cert={self.client_cert!r}, "
            f"client_key={self.client_key!r}, insecure={self.insecure!r})"
        )


DIRECT = Network()
