"""A ledger whose commits a test sees."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, cast

from bulk_upload.edge.ledger import Ledger, LedgerStore
from tests.edge.ledger.stage import (
    START_S,
    entry,
)


class Watched:
    """A connection that tells of every statement before it runs it."""

    def __init__(self, connection: sqlite3.Connection, hear: Callable[[str], None]) -> None:
        self._connection = connection
        self._hear = hear

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        self._hear(sql)
        return self._connection.execute(sql, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


async def watch(ledger: Ledger, hear: Callable[[str], None]) -> None:
    """Have `hear` told of every statement from the next commit on."""

    def wrap(store: LedgerStore) -> None:
        store.connection = cast("sqlite3.Connection", Watched(store.connection, hear))

    await ledger.writer.run(wrap)


def register(path: str) -> Callable[[LedgerStore], None]:
    return lambda store: store.register([entry(path)], utc_s=START_S)
