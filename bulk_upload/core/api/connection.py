"""How one server is reached: built once from options or arguments, then passed on."""

from __future__ import annotations

import msgspec

# ruff: noqa: TC001 - agents get a Connection, decoded by its annotations.
from bulk_upload.core.api.network import DIRECT, Network
from bulk_upload.core.api.profile import Profile

STALL_S = 60.0
"""Load balancers close idle connections after this long or later (60 s: nginx, AWS ALB)."""

ANSWER_S = 300.0
"""A server may scan or copy a large file before it answers."""


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """How one server is reached. It holds no key, so it may be printed.

    Args:
        endpoint: scheme, host and port, with any path, as `endpoint_of` returns it: whether the key may travel there
            unencrypted is decided already.
        profile: the server's API.
        team: for the profile's team header.
        network: proxy and certificates.
        connect_s: how long connecting may take.
        continue_s: how long a request with `Expect` waits for the answer to it: servers that do not support `Expect`
            send none.
        stall_s: how long a request, or a call to the file system, may make no progress.
        answer_s: how long the whole response may take after the last byte of a body was sent.
        min_bytes_per_s: the lowest speed of a body over a minute; 0 allows any.
        keepalive_s: how long a connection is kept for the next request. Shorter than servers usually use (nginx 75,
            uvicorn 5), so that a request rarely meets a connection that the server is just closing.
    """

    endpoint: str
    profile: Profile
    team: str | None = None
    network: Network = DIRECT
    connect_s: float = 10.0
    continue_s: float = 5.0
    stall_s: float = STALL_S
    answer_s: float = ANSWER_S
    min_bytes_per_s: float = 0.0
    keepalive_s: float = 4.0
