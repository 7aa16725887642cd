"""Looks up the objects of a manifest before anything is sent: by lists, so that a million of them take a thousand requests.

What is wanted and what was found lies in a temporary database. Everything blocks; use it from one thread at a time.
"""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bulk_upload.core.manifest.paths import PathComplaint
from bulk_upload.core.model import Fingerprint
from bulk_upload.core.objects.address import LISTED, STORES, Address, read_address
from bulk_upload.core.run.source import SourceError
from bulk_upload.edge.objects.failures import NO_SUCH_OBJECT, source_error
from bulk_upload.edge.objects.places import Places
from bulk_upload.edge.objects.versions import version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from obstore import ObjectMeta

    from bulk_upload.edge.objects.places import Found, Listing
    from bulk_upload.edge.objects.stores import Stores

FEW_MAX = 20
"""Fewer objects than this are asked for one by one, which tells their versions, too. More are worth a list."""

PAGE_OBJECTS = 1000
"""How many objects a store lists in one answer."""

ASKED_AT_ONCE = 16

_WANTED_AT_ONCE = 512

_LISTS_FROM_THE_START = ("az",)
"""Stores whose lists cannot begin in the middle: obstore reads what comes before and drops it."""

_CREATE = """
CREATE TABLE wanted (
    base        TEXT NOT NULL,
    key         TEXT NOT NULL,
    size        INTEGER,
    mtime_ns    INTEGER,
    etag        TEXT,
    version     TEXT,
    reason      TEXT,
    transient   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (base, key)
) WITHOUT ROWID;
"""

_LAST_KEY = "\U0010ffff" * 2
"""Sorts after every key."""

NOT_LOOKED_UP = "the object was not looked up"
_MISSING = NO_SUCH_OBJECT


class Lookup:
    """The objects that a manifest names, and what their stores say about them.

    Args:
        stores: where they are.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._places = Places(stores)
        self._opened: sqlite3.Connection | None = None

    @property
    def _connection(self) -> sqlite3.Connection:
        """The database, made when the first object is expected: most manifests have none."""
        if self._opened is None:
            self._opened = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._opened.executescript(f"PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; {_CREATE}")
        return self._opened

    def expect(self, paths: Iterable[str]) -> None:
        """Note the addresses of objects that will be asked about."""
        rows = ((address.base, address.key) for address in map(read_address, paths))
        while group := list(islice(rows, _WANTED_AT_ONCE)):
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT OR IGNORE INTO wanted (base, key) VALUES (?, ?)", group)
            self._connection.execute("COMMIT")

    def look(self, on_count: Callable[[int], None] | None = None) -> None:
        """Ask the stores about all objects that are expected; `on_count` is called with how many are known so far.

        Raises UsageError: a store cannot be used.
        """
        counted = _Counted(on_count)
        for (base,) in self._connection.execute("SELECT DISTINCT base FROM wanted").fetchall():
            scheme, _, name = base.partition("://")
            home = Address(scheme, name, "")
            listing = self._places.listing(home)
            if listing is None:
                self._look_at(home, counted)
            else:
                self._look_through(home, listing, counted)
        # A later look is at what is there then, and its connections may be long in coming.
        self._places.close()

    def inspect(self, path: str) -> Fingerprint | PathComplaint:
        """Return the version of an object, or why it cannot be sent."""
        address = read_address(path)
        row = self._connection.execute(
            "SELECT size, mtime_ns, etag, version, reason, transient FROM wanted WHERE base = ? AND key = ?",
            (address.base, address.key),
        ).fetchone()
        size, mtime_ns, etag, version, reason, transient = row or (None, 0, None, None, NOT_LOOKED_UP, 1)
        if size is None:
            return _complaint(address, reason or NOT_LOOKED_UP, transient=bool(transient))
        return Fingerprint(size=size, mtime_ns=mtime_ns, inode=0, etag=etag, version=version)

    def close(self) -> None:
        """Delete the database, and end connections."""
        self._places.close()
        if self._opened is not None:
            self._opened.close()

    def _look_through(self, home: Address, listing: Listing, counted: _Counted) -> None:
        """Ask a place that is neither a store nor the web: for a folder, or for objects in groups."""
        try:
            for found in self._answers(home, listing):
                self._put([_row(home, key, one) for key, one in found])
                counted.add(len(found))
            self._note_missing(home, "", _LAST_KEY)
        except SourceError as error:
            self._connection.execute(
                "UPDATE wanted SET reason = ?, transient = ? WHERE base = ? AND size IS NULL AND reason IS NULL",
                (error.reason, error.transient, home.base),
            )

    def _answers(self, home: Address, listing: Listing) -> Iterator[Sequence[Found]]:
        count, first, last = self._connection.execute(
            "SELECT count(*), min(key), max(key) FROM wanted WHERE base = ?", (home.base,)
        ).fetchone()
        if count >= listing.listed_from:
            yield from listing.under(replace(home, key=_common_folder(first, last)))
            return
        after = ""
        while keys := self._wanted(home, after, listing.asked_max):
            yield listing.ask(home, keys)
            after = keys[-1]

    def _look_at(self, home: Address, counted: _Counted) -> None:
        after = ""
        can_list = home.scheme in STORES
        while keys := self._wanted(home, after, FEW_MAX):
            if can_list and len(keys) == FEW_MAX:
                listed = self._list(home, keys, counted)
                if listed is not None:
                    after = listed
                    continue
                can_list = False
            if not can_list:
                keys = self._wanted(home, after, _WANTED_AT_ONCE)
            self._ask(home, keys, counted)
            after = keys[-1]

    def _list(self, home: Address, keys: Sequence[str], counted: _Counted) -> str | None:
        """List from the first of some keys on, while that finds many; return the last key that is known then.

        None where the store does not list.
        """
        folder = _common_folder(keys[0], keys[-1])
        store = self._stores.asked(home)
        can_skip = home.scheme not in _LISTS_FROM_THE_START
        last = before = _before(keys[0]) if can_skip else ""
        try:
            # A list begins after the key that it is given.
            for page in store.list(folder or None, offset=before or None, chunk_size=PAGE_OBJECTS):
                listed = [one["path"] for one in _without_folders(page, last)]
                if not listed:
                    continue
                if not _is_sorted([last, *listed]):
                    return None
                last = listed[-1]
                found_count = self._note_page(home, keys[0], page)
                counted.add(found_count)
                following = self._wanted(home, last, FEW_MAX)
                if not following or not following[0].startswith(f"{folder}/" if folder else ""):
                    return last
                if can_skip and found_count < FEW_MAX:
                    # Few of many objects are wanted: most of the page was for nothing.
                    self._ask(home, following, counted)
                    return following[-1]
            return self._end_of(home, folder, keys[0])
        except Exception as error:  # whatever obstore raises: an object that is asked for alone says why
            if isinstance(error, sqlite3.Error):
                raise
            return None

    def _note_page(self, home: Address, first: str, page: Sequence[ObjectMeta]) -> int:
        """Note what a page of a list says about objects from `first` on; return how many of them are wanted."""
        last = page[-1]["path"]
        wanted = self._wanted_up_to(home, first, last)
        found = [one for one in page if one["path"] in wanted]
        self._note(home, found)
        if len(found) < len(wanted):
            self._note_missing(home, first, last)
        return len(wanted)

    def _end_of(self, home: Address, folder: str, first: str) -> str:
        """Note what a list that came to its end does not have; return the last key that it could have."""
        keys = self._connection.execute(
            "SELECT max(key) FROM wanted WHERE base = ? AND key >= ? AND (? = '' OR substr(key, 1, ?) = ?)",
            (home.base, first, folder, len(folder) + 1, f"{folder}/"),
        ).fetchone()
        self._note_missing(home, first, keys[0])
        return str(keys[0])

    def _wanted(self, home: Address, after: str, count: int) -> list[str]:
        rows = self._connection.execute(
            "SELECT key FROM wanted WHERE base = ? AND key > ? ORDER BY key LIMIT ?",
            (home.base, after, count),
        )
        return [key for (key,) in rows]

    def _wanted_up_to(self, home: Address, first: str, last: str) -> set[str]:
        rows = self._connection.execute(
            "SELECT key FROM wanted WHERE base = ? AND key >= ? AND key <= ? AND size IS NULL AND reason IS NULL",
            (home.base, first, last),
        ).fetchall()
        return {key for (key,) in rows}

    def _note(self, home: Address, found: Iterable[ObjectMeta]) -> None:
        versions = [(version_of(one), one["path"]) for one in found]
        self._put([_row(home, key, one) for one, key in versions])

    def _note_missing(self, home: Address, first: str, last: str) -> None:
        self._connection.execute(
            "UPDATE wanted SET reason = ? WHERE base = ? AND key >= ? AND key <= ? AND size IS NULL AND reason IS NULL",
            (_MISSING, home.base, first, last),
        )

    def _ask(self, home: Address, keys: Sequence[str], counted: _Counted) -> None:
        """Ask for objects one by one, a few at a time."""
        store = self._stores.asked(home)

        def ask(key: str) -> tuple[object, ...]:
            try:
                return _row(home, key, version_of(store.head(key)))
            except Exception as error:  # noqa: BLE001 - whatever obstore raises is about the object
                return _row(home, key, source_error(error))

        with ThreadPoolExecutor(ASKED_AT_ONCE, thread_name_prefix="bulk-upload-look") as pool:
            self._put(list(pool.map(ask, keys)))
        counted.add(len(keys))

    def _put(self, rows: Sequence[tuple[object, ...]]) -> None:
        self._connection.execute("BEGIN")
        self._connection.executemany(
            "UPDATE wanted SET size = ?, mtime_ns = ?, etag = ?, version = ?, reason = ?, transient = ?"
            " WHERE base = ? AND key = ?",
            rows,
        )
        self._connection.execute("COMMIT")


def _row(home: Address, key: str, found: Fingerprint | SourceError) -> tuple[object, ...]:
    if isinstance(found, SourceError):
        return (None, 0, None, None, found.reason, found.transient, home.base, key)
    return (found.size, found.mtime_ns, found.etag, found.version, None, 0, home.base, key)


class _Counted:
    def __init__(self, on_count: Callable[[int], None] | None) -> None:
        self._on_count = on_count
        self._count = 0

    def add(self, count: int) -> None:
        """Count objects that are known now."""
        self._count += count
        if self._on_count is not None:
            self._on_count(self._count)


def _without_folders(page: Sequence[ObjectMeta], last: str) -> Iterator[ObjectMeta]:
    """Yield the objects of a page without the empty ones that stand for folders, where these are out of order.

    Their keys end in a slash, which obstore leaves out: `a/` comes after `a-b`, and `a` would not.
    """
    for one in page:
        if one["size"] or last.encode() < one["path"].encode():
            last = one["path"]
            yield one


def _is_sorted(keys: Sequence[str]) -> bool:
    """Whether keys are in the order of their bytes, as in the lists that can be relied upon to be complete so far."""
    return all(one.encode() < other.encode() for one, other in pairwise(keys))


def _common_folder(first: str, last: str) -> str:
    """Return the folder that holds both keys, without a slash at its end; empty for the whole bucket."""
    parts = []
    for one, other in zip(first.split("/")[:-1], last.split("/")[:-1], strict=False):
        if one != other:
            break
        parts.append(one)
    return "/".join(parts)


def _before(key: str) -> str:
    """Return a text that comes before a key, with hardly any other key in between."""
    return key[:-1].rstrip("./")


def _complaint(address: Address, reason: str, *, transient: bool) -> PathComplaint:
    if reason == _MISSING:
        remedy = (
            f"Create it, or correct the address; `bulk-upload scan {address.base}/PREFIX` lists what is there"
        )
        if address.scheme not in LISTED:
            remedy = "Correct the address"
        return PathComplaint(rule="missing-file", found=f'there is no object "{address}"', remedy=remedy)
    remedy = f'Allow access to it, or set up [sources."{address.settings_home}"] in bulk-upload.toml'
    if transient:
        remedy = "Check that the store can be reached, then run again"
    return PathComplaint(
        rule="unreadable-file", found=f'"{address}": {reason}', remedy=remedy, transient=transient
    )
