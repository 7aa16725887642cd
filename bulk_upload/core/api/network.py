"""Network settings: proxy and certificates."""

from __future__ import annotations

from typing import Any

import msgspec


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """How connections are made.

    Args:
        proxy: URL of an HTTP proxy; may hold a user name and a password, and is never shown.
        ca_file: PEM file of the authorities to trust instead of the system's.
        client_cert: PEM file with this client's certificate, and optionally its key.
        client_key: PEM file with its key.
        insecure: the server's certificate is not checked. Anyone on the network path can read key and files.
    """

    proxy: str | None = None
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    insecure: bool = False

    def __repr__(self) -> str:
        return f"Network({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Leave out the proxy, which may hold a password."""
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name != "proxy"]


DIRECT = Network()
