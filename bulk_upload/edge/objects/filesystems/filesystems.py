"""Files of other machines through fsspec: looked at before and after they are read, on threads of their own."""

from __future__ import annotations

import asyncio
from concurrent.futures import TimeoutError as FutureTimeout
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from bulk_upload.core.model import Fingerprint
from bulk_upload.core.objects.address import is_plain_to_elsewhere
from bulk_upload.core.run.source import SourceChanged, SourceError
from bulk_upload.core.text.printable import human_seconds
from bulk_upload.edge.objects.failures import no_answer
from bulk_upload.edge.objects.filesystems.answer import FileAnswer
from bulk_upload.edge.objects.filesystems.failures import filesystem_error
from bulk_upload.edge.objects.filesystems.identity import time_in, version_in
from bulk_upload.edge.objects.filesystems.lanes import Lane
from bulk_upload.edge.objects.filesystems.making import NO_HOST, PACKAGES, made
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.objects.address import Address
    from bulk_upload.edge.objects.stores import Stores

T = TypeVar("T")

LANES_MAX = 8
"""Connections to one host: servers of SSH take about ten that have not logged in yet."""

STUCK_MAX = 64
"""Connections on which nothing came, and that are not ended yet, beyond which none is opened in the place of another: a host
that is away for hours must not cost a thread for each attempt."""

LISTED_FROM = 20
"""So many files of one folder are worth a list of it."""

BLOCK_BYTES = 4 * 1024 * 1024
"""How much fsspec fetches at once: its own default is up to 50 MiB for each open file."""

_PLAIN = {"ftp": "tls", "webhdfs": "use_https"}
"""Filesystems that are read without encryption, unless this setting of fsspec says otherwise."""

Found = tuple[str, Fingerprint | SourceError]


class Filesystems:
    """The filesystems of a job, by host.

    Args:
        stores: how they are reached.
    """

    listed_from = 2**63
    """A list of everything below a folder has no end that is known."""
    asked_max = 1000

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._idle: dict[str, list[Lane]] = {}
        self._free: dict[str, asyncio.Semaphore] = {}
        self._stuck: list[Lane] = []

    async def look(self, address: Address) -> Fingerprint:
        """Return the present version of a file. Raises SourceError."""
        path = path_of(address)
        lane = await self._lane(address)
        try:
            found = await self._answered(address, lane, partial(_look, path=path))
        finally:
            self._give_back(address, lane)
        return found

    async def open(
        self, address: Address, expected: Fingerprint, *, part: ByteRange | None = None
    ) -> FileAnswer:
        """Begin to read a file, or a part of it. Raises SourceError; SourceChanged where it is another version."""
        lane = await self._lane(address)
        try:
            now = await self._answered(address, lane, partial(_look, path=path_of(address)))
            if not now.same_version(expected):
                raise SourceChanged("the file has changed since it was planned", now, transient=True)
            start = 0 if part is None else part.start
            file = await self._answered(address, lane, partial(_open, path=path_of(address), start=start))
        except BaseException:
            self._give_back(address, lane)
            raise
        return FileAnswer(
            file,
            fingerprint=now,
            wanted_bytes=now.size if part is None else part.length,
            is_part=part is not None,
            look=partial(self._answered, address, lane, partial(_look, path=path_of(address))),
            run=partial(self._answered, address, lane),
            let_go=partial(self._let_go, address, lane, file),
        )

    def ask(self, home: Address, keys: Sequence[str]) -> list[Found]:
        """Return what is known about some files, by lists of folders of which many are wanted. Blocking."""
        found: list[Found] = []
        lane = self._idle_or_new(home)
        try:
            for folder, group in groupby(keys, lambda key: key.rpartition("/")[0]):
                names = list(group)
                if len(names) >= LISTED_FROM:
                    found += self._listed(home, lane, folder, set(names))
                else:
                    found += [(key, self._asked(home, lane, key)) for key in names]
        finally:
            self._keep(home, lane)
        return found

    def under(self, prefix: Address) -> Iterator[list[Found]]:
        """Yield the files below a folder, or the one file, folder by folder. Blocking. Raises SourceError."""
        lane = self._new(prefix)
        try:
            alone = self._asked(prefix, lane, prefix.key) if prefix.key else SourceError("a folder")
            if isinstance(alone, Fingerprint):
                yield [(prefix.key, alone)]
                return
            folders = [prefix.key]
            while folders:
                folder = folders.pop()
                infos = self._waited(prefix, lane, partial(_list, path=_joined(prefix, folder)))
                yield [
                    (key, self._version(prefix, lane, key, info))
                    for key, info in _named(folder, infos)
                    if info.get("type") == "file"
                ]
                below = [key for key, info in _named(folder, infos) if info.get("type") == "directory"]
                folders += reversed(below)
        finally:
            lane.close()

    def close(self) -> None:
        """End the threads."""
        while self._idle:
            for lane in self._idle.popitem()[1]:
                lane.close()

    def _listed(self, home: Address, lane: Lane, folder: str, wanted: set[str]) -> list[Found]:
        try:
            infos = self._waited(home, lane, partial(_list, path=_joined(home, folder)))
        except SourceError as error:
            if error.inaccessible:
                return [(key, error) for key in wanted]
            raise
        return [
            (key, self._version(home, lane, key, info))
            for key, info in _named(folder, infos)
            if key in wanted
        ]

    def _version(
        self, home: Address, lane: Lane, key: str, info: dict[str, Any]
    ) -> Fingerprint | SourceError:
        """Return the version that a list shows, asking for what the list lacks."""
        if time_in(info) is None:
            return self._asked(home, lane, key)
        try:
            return version_in(info)
        except SourceError as error:
            return error

    def _asked(self, home: Address, lane: Lane, key: str) -> Fingerprint | SourceError:
        try:
            return self._waited(home, lane, partial(_look, path=_joined(home, key)))
        except SourceError as error:
            return error

    def _waited(self, home: Address, lane: Lane, call: Callable[[Any], T]) -> T:
        asked = lane.submit(call)
        try:
            return asked.result(self._stores.stall_s)
        except UsageError:
            raise
        except FutureTimeout:
            lane.is_stuck = not asked.done()
            raise no_answer(human_seconds(self._stores.stall_s)) from None
        except Exception as error:  # noqa: BLE001 - fsspec raises what it likes
            raise self._in_words(home, error) from None

    async def _answered(self, home: Address, lane: Lane, call: Callable[[Any], T]) -> T:
        limit = asyncio.timeout(self._stores.stall_s)
        try:
            async with limit:
                return await asyncio.wrap_future(lane.submit(call))
        except UsageError:
            raise
        except TimeoutError as error:
            if limit.expired():
                lane.is_stuck = True
                raise no_answer(human_seconds(self._stores.stall_s)) from None
            raise self._in_words(home, error) from None
        except Exception as error:  # noqa: BLE001 - as above
            raise self._in_words(home, error) from None

    def _in_words(self, home: Address, error: Exception) -> SourceError | UsageError:
        if isinstance(error, ImportError):
            return UsageError(
                f"to read from {home.scheme}:// fsspec needs a package that is not installed",
                hint=f"pip install {PACKAGES.get(home.scheme, 'fsspec')}",
            )
        return filesystem_error(error)

    async def _lane(self, address: Address) -> Lane:
        """Return a connection that nobody else uses."""
        await self._free.setdefault(address.home, asyncio.Semaphore(LANES_MAX)).acquire()
        return self._idle_or_new(address)

    def _idle_or_new(self, address: Address) -> Lane:
        idle = self._idle.get(address.home)
        return idle.pop() if idle else self._new(address)

    def _give_back(self, address: Address, lane: Lane) -> None:
        self._keep(address, lane)
        self._free[address.home].release()

    def _keep(self, address: Address, lane: Lane) -> None:
        """Keep a connection for the next call, unless that would wait behind one that does not end."""
        if lane.is_stuck:
            self._stuck = [one for one in self._stuck if one.is_alive]
            if len(self._stuck) < STUCK_MAX:
                self._stuck.append(lane)
                lane.close()
                return
        self._idle.setdefault(address.home, []).append(lane)

    def _let_go(self, address: Address, lane: Lane, file: Any) -> None:  # noqa: ANN401 - of fsspec
        lane.submit(lambda _: file.close())
        self._give_back(address, lane)

    def _new(self, address: Address) -> Lane:
        options = self._stores.options_of(address)
        scheme = address.scheme
        setting = _PLAIN.get(scheme)
        is_plain = setting is not None and not options.settings.get(setting)
        if is_plain and is_plain_to_elsewhere("http", address.home) and not self._stores.allow_plain_http:
            raise UsageError(
                f"{address.base} is another machine that is reached without encryption",
                hint="pass --allow-plain-http for a network that you trust",
            )
        return Lane(partial(made, address, options))


def path_of(address: Address) -> str:
    """Return the path of a file on its filesystem."""
    return _joined(address, address.key)


def _joined(home: Address, key: str) -> str:
    return f"/{home.home}/{key}" if home.scheme == NO_HOST else f"/{key}"


def _look(filesystem: Any, *, path: str) -> Fingerprint:  # noqa: ANN401 - fsspec has no types
    info = filesystem.info(path)
    modified = None
    if info.get("type") == "file" and time_in(info) is None:
        try:
            modified = filesystem.modified(path)
        except (NotImplementedError, RuntimeError):
            # What fsspec's filesystems raise that keep no times. It is no error of the file: whether anything else tells its
            # versions apart is decided from `info`.
            modified = None
    return version_in(info, modified=modified)


def _open(filesystem: Any, *, path: str, start: int) -> Any:  # noqa: ANN401 - as above
    file = filesystem.open(path, "rb", block_size=BLOCK_BYTES)
    if start:
        file.seek(start)
    return file


def _list(filesystem: Any, *, path: str) -> list[dict[str, Any]]:  # noqa: ANN401 - as above
    return list(filesystem.ls(path or "/", detail=True))


def _named(folder: str, infos: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the key of each info, in the order of names."""
    for info in sorted(infos, key=lambda one: str(one["name"])):
        name = str(info["name"]).rstrip("/").rpartition("/")[2]
        if name and name not in (".", ".."):
            yield (f"{folder}/{name}" if folder else name), info
