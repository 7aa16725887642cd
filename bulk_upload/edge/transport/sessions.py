"""The HTTP sessions of a transport: one for the server, and one for hosts that must not see its key or team."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from bulk_upload.edge.transport.settings import TransportSettings


def server_session(settings: TransportSettings, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    """Return the session for the server; the key is added to each request. It owns the connector."""
    connection = settings.connection
    headers = {"Accept": "application/json", **dict(connection.profile.headers)}
    if connection.team is not None and connection.profile.team_header is not None:
        headers[connection.profile.team_header] = connection.team
    return _session(settings, connector, headers, owns=True)


def bare_session(settings: TransportSettings, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    """Return a session for other hosts, on connections of the same connector."""
    return _session(settings, connector, {}, owns=False)


def _session(
    settings: TransportSettings, connector: aiohttp.TCPConnector, headers: dict[str, str], *, owns: bool
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        connector_owner=owns,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"User-Agent": settings.user_agent, "Accept-Encoding": "identity", **headers},
        proxy=settings.connection.network.proxy,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connection.connect_s),
    )
