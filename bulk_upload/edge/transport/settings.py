"""Settings of a transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.api.pace import Fence
    from bulk_upload.core.api.secret import Secret


class TransportSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a transport: the server, the key, and how many requests it makes at once.

    `read_key_again` is called, once, when the server refuses the key: it may have been rotated. `ask_key_again` takes its
    place where another process has the key. `connection_limit` is
    the most uploads at once, `question_limit` the most other requests beside them. No piece of a body is written once the
    `fence` is closed.
    """

    connection: Connection
    api_key: Secret
    read_key_again: Callable[[], Secret] | None = None
    ask_key_again: Callable[[], Awaitable[Secret]] | None = None
    connection_limit: int = 32
    question_limit: int = 1
    user_agent: str = "bulk-upload"
    fence: Fence | None = None
