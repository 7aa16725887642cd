"""The system's certificate authorities, read when the first connection needs them.

aiohttp reads them twice while it is imported, 28 ms each time with the 140 of a Debian: for contexts that a run over plain
HTTP never uses, and of which a run over TLS uses one.
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_READ = "set_default_verify_paths"


@contextmanager
def authorities_read_late() -> Iterator[None]:
    """Have the contexts that are made in the block read the system's authorities before their first connection.

    Until then they trust nobody. Changes the whole process while the block lasts: for programs to call, around imports and
    before they have threads.
    """
    setattr(ssl.SSLContext, _READ, _read_late)
    try:
        yield
    finally:
        # What the base class has shows again.
        delattr(ssl.SSLContext, _READ)


class _Unread(ssl.SSLContext):
    """A context whose authorities are still to be read: an ordinary one from its first connection on."""

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        self._read()
        return self.wrap_bio(*args, **options)

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        self._read()
        return self.wrap_socket(*args, **options)

    def _read(self) -> None:
        self.__class__ = ssl.SSLContext  # type: ignore[assignment]
        self.set_default_verify_paths()


def _read_late(context: ssl.SSLContext) -> None:
    context.__class__ = _Unread
