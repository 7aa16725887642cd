"""What a query raises that got no usable answer."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import aiohttp

from bulk_upload.edge.transport.answers import remedy_of, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_ASK_AGAIN = frozenset({408, 425, 429})


class NoAnswer(Exception):
    """A query got no usable answer; the message says why.

    `http_status` is None where there was no answer at all; `retry_after_s` is what the server asked to wait. `away`
    says that there was not even a connection: the server may be reachable later. `remedy` is what a person must
    change where it will not, such as an untrusted certificate.
    """

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        away: bool = False,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.away = away
        self.http_status = http_status
        self.retry_after_s = retry_after_s

    @property
    def final(self) -> bool:
        """Whether a retry would get the same answer: the server understood and refused, or redirected."""
        if self.remedy is not None:
            return True
        status = self.http_status
        return status is not None and 300 <= status < 500 and status not in _ASK_AGAIN


@contextmanager
def naming(what: str, *, is_server: bool = True) -> Iterator[None]:
    """Turn what aiohttp raises into NoAnswer, prefixed with the query.

    Where another host was asked than the server (`is_server` is False), a missing connection does not say that the server
    is away.
    """
    try:
        yield
    except (aiohttp.ClientError, OSError, ValueError) as error:
        away = is_server and isinstance(error, aiohttp.ClientConnectorError)
        raise NoAnswer(f"{what} failed: {words_of(error)}", away=away, remedy=remedy_of(error)) from None
