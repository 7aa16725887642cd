"""A connection says how a server is reached, and nothing secret."""

from __future__ import annotations

from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.network import Network
from bulk_upload.core.api.profile import FLOW


def test_a_connection_shows_no_password() -> None:
    """It may be printed: the proxy, whose URL may hold a password, stays out."""
    network = Network(proxy="http://me:pa55word@proxy:3128", ca_file="ca.pem")
    shown = repr(Connection(endpoint=FLOW.base_url, profile=FLOW, network=network))
    assert "pa55word" not in shown
    assert FLOW.base_url in shown
    assert "ca.pem" in shown
