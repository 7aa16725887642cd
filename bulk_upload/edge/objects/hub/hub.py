"""The Hugging Face Hub: each repository at one commit, its files listed by the tree API and read from that commit."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import quote

from anyio.from_thread import start_blocking_portal

from bulk_upload.core.objects.hub import repository_of, without_revision
from bulk_upload.core.run.source import SourceError
from bulk_upload.edge.objects.failures import NO_SUCH_OBJECT
from bulk_upload.edge.objects.hub.answer import HubAnswer
from bulk_upload.edge.objects.hub.client import HubClient, Page
from bulk_upload.edge.objects.hub.replies import Revision, TreeItem, decoded, files_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from anyio.from_thread import BlockingPortal

    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.objects.address import Address
    from bulk_upload.edge.objects.stores import Stores

T = TypeVar("T")
P = ParamSpec("P")

ASKED_MAX = 100
"""How many files of a repository are asked for in one request."""

LISTED_FROM = 1000
"""So many files of a repository are worth a list of their folder: a page of it has as many."""


class Hub:
    """Repositories of the Hub. Requests are made on an event loop in a thread of its own, as obstore does: the same
    connections serve who plans, on a thread, and who reads.

    Args:
        stores: the endpoint and the token.
    """

    listed_from = LISTED_FROM
    asked_max = ASKED_MAX

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._open_things = ExitStack()
        self._started: BlockingPortal | None = None
        self._clients: dict[str, HubClient] = {}
        self._revisions: dict[str, Revision] = {}

    async def look(self, address: Address) -> Fingerprint:
        """Return the version in the commit that the revision names. Raises SourceError."""
        found = dict(await self._await(self._ask, address, [address.key]))
        if address.key not in found:
            raise SourceError(NO_SUCH_OBJECT, inaccessible=True)
        return found[address.key]

    async def open(
        self, address: Address, expected: Fingerprint, *, part: ByteRange | None = None
    ) -> HubAnswer:
        """Begin to read a file, or a part of it, from the commit that it was planned from. Raises SourceError."""
        client = self._client(address)
        commit = expected.version or (await self._await(self._revision, address)).sha
        files_path = repository_of(address.home).files_path
        path = f"{files_path}/resolve/{quote(commit, safe='')}/{quote(address.key)}"
        end = None if part is None else part.start + part.length
        first_byte = 0 if part is None else part.start
        response = await self._await(lambda: client.open(path, first_byte=first_byte, end=end))
        return HubAnswer(
            response, portal=self._portal, client=client, path=path, fingerprint=expected, part=part
        )

    def ask(self, home: Address, keys: Sequence[str]) -> list[tuple[str, Fingerprint]]:
        """Return what a repository has of some files. Blocking. Raises SourceError."""
        return self._portal.call(self._ask, home, keys)

    def under(self, prefix: Address) -> Iterator[list[tuple[str, Fingerprint]]]:
        """Yield the files in a folder of a repository, or the one file, page by page. Blocking. Raises SourceError."""
        revision = self._portal.call(self._revision, prefix)
        tree = f"{repository_of(prefix.home).api_path}/tree/{revision.sha}"
        folder = f"/{quote(prefix.key, safe='')}" if prefix.key else ""
        following: str | None = f"{tree}{folder}?recursive=True&expand=False"
        try:
            while following is not None:
                page: Page = self._portal.call(self._client(prefix).page, following)
                following = page.next_url
                yield list(files_in(decoded(page.content, list[TreeItem]), revision))
        except SourceError as error:
            # The tree of a file is not always answered: it is no folder.
            alone = self.ask(prefix, [prefix.key]) if prefix.key and error.inaccessible else []
            if not alone:
                raise
            yield alone

    def close(self) -> None:
        """End the connections and the thread."""
        if self._started is not None:
            self._started.call(self._close)
            self._open_things.close()
            self._started = None

    async def _close(self) -> None:
        for one in self._clients.values():
            await one.close()

    async def _ask(self, home: Address, keys: Sequence[str]) -> list[tuple[str, Fingerprint]]:
        revision = await self._revision(home)
        named: Mapping[str, Any] = {"paths": list(keys), "expand": False}
        path = f"{repository_of(home.home).api_path}/paths-info/{revision.sha}"
        page = await self._client(home).page(path, named=named)
        return list(files_in(decoded(page.content, list[TreeItem]), revision))

    async def _revision(self, home: Address) -> Revision:
        """Return the commit of a revision, which is asked for once."""
        if home.home not in self._revisions:
            repository = repository_of(home.home)
            path = f"{repository.api_path}/revision/{quote(repository.revision, safe='')}"
            found = decoded((await self._client(home).page(path)).content, Revision)
            self._revisions[home.home] = found
        return self._revisions[home.home]

    def _client(self, address: Address) -> HubClient:
        base = without_revision(address.base)
        if base not in self._clients:
            self._clients[base] = HubClient(
                self._stores.options_of(address),
                allow_plain_http=self._stores.allow_plain_http,
                stall_s=self._stores.stall_s,
            )
        return self._clients[base]

    @property
    def _portal(self) -> BlockingPortal:
        if self._started is None:
            self._started = self._open_things.enter_context(start_blocking_portal(name="bulk-upload-hub"))
        return self._started

    async def _await(self, call: Callable[P, Awaitable[T]], *args: P.args, **_: P.kwargs) -> T:
        return await asyncio.wrap_future(self._portal.start_task_soon(call, *args))
