"""How to reach one endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.api.network import DIRECT

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.api.network import Network
    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.api.secret import Secret


class TransportSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach one endpoint. Times are seconds.

    `read_key_again` is asked, once, when the server refuses the key: it may have been rotated.

    `min_bytes_per_s` ends a request whose body moves more slowly than that over a minute; 0 lets any speed be.
    `keepalive_s` is below what usual servers use (nginx 75, uvicorn 5), so that a request rarely meets a
    connection that the server is just closing. `continue_s` is how long a request that asks first waits for an
    answer to that: servers that do not know `Expect` say nothing.
    """

    endpoint: str
    profile: Profile
    api_key: Secret
    read_key_again: Callable[[], Secret] | None = None
    network: Network = DIRECT
    team: str | None = None
    connection_limit: int = 32
    question_limit: int = 1
    connect_s: float = 10.0
    continue_s: float = 5.0
    stall_s: float = 60.0
    min_bytes_per_s: float = 0.0
    answer_s: float = 300.0
    keepalive_s: float = 4.0
    user_agent: str = "bulk-upload"
