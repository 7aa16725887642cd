"""A Files API on virtual time: every request meets a fate, drawn by chance or scripted, that has a name."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bulk_upload.core.content_hash import HashFunction, hash_of
from bulk_upload.core.model import ListedFile
from bulk_upload.core.text.timestamps import time_text, utc_text
from tests.fakes.bundle_rules import BundleRules
from tests.fakes.fates import STORING, Fate, Faults
from tests.fakes.server_settings import ServerSettings
from tests.fakes.virtual_time import EPOCH_UTC_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

ID_AGE_S_MIN = 5.0
"""How long ago an id was answered before it is answered a second time, so that its owner has it recorded."""


@dataclass(slots=True)
class StoredFile:
    """A file at the server. `source` is the inode of what was sent, 0 for a stranger's; times are virtual.

    `content` is what it has where that is not the content of its source.
    """

    file_id: str
    filename: str
    size: int
    purpose: str
    stored_at: float
    listed_at: float
    source: int = 0
    content: bytes | None = None


@dataclass(slots=True)
class Answer:
    """A complete HTTP answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


@dataclass(slots=True, eq=False)
class Request:
    """One request as the server sees it. `chance` is its own, so that the order of requests changes nothing."""

    fate: Fate
    chance: random.Random
    connect_s: float
    stored: StoredFile | None = None
    answers_with: str | None = None
    is_answered: bool = False


class FakeServer:
    """Takes files, forgets some, and lists what it has. It outlives the runs that talk to it.

    Args:
        seed: of every chance.
        faults: how likely each fate is; may be replaced at any time.
        settings: see ServerSettings; may be replaced at any time.
    """

    def __init__(
        self, seed: int | str = 0, *, faults: Faults | None = None, settings: ServerSettings | None = None
    ) -> None:
        self.faults = faults or Faults()
        self.settings = settings or ServerSettings()
        self.stored: list[StoredFile] = []
        self.scripts: dict[str, deque[Fate]] = defaultdict(deque)
        self.list_count = 0
        self.request_count = 0
        self.file_count = 0
        """How many files the requests brought."""

        self.active_count = 0
        self.list_fails = 0
        self.content_count = 0
        self.bundles = BundleRules()
        """How several files in one request are treated."""

        self.hidden: set[str] = set()
        """Ids that the list does not show, though a look-up does."""

        self.content_of: Callable[[int], bytes] = lambda _: b""
        self.shown_as: Callable[[ListedFile], ListedFile] = lambda file: file
        """What the list and look-ups make of a file."""
        self._open: list[Request] = []
        self._seed = seed
        self._answered: list[tuple[float, str]] = []
        self._id_count = 0

    def script(self, sent_name: str, *fates: Fate) -> None:
        """Give the next requests with this name these fates, in order, whatever chance says."""
        self.scripts[sent_name].extend(fates)

    def add_stranger(self, filename: str, *, size: int, purpose: str, stored_at: float) -> StoredFile:
        """Store a file that no run of ours sent."""
        file = StoredFile(self.next_id(), filename, size, purpose, stored_at, stored_at)
        self.stored.append(file)
        return file

    def begin(self, sent_name: str) -> Request:
        """Meet a request and decide its fate."""
        self.request_count += 1
        chance = random.Random(f"request {self._seed} {self.request_count}")
        fate = self.faults.draw(chance.random())
        if sent_name in self.bundles.bad_names:
            fate = Fate.REJECT
        elif self.scripts[sent_name]:
            fate = self.scripts[sent_name].popleft()
        elif self.active_count >= self.settings.capacity:
            fate = Fate.THROTTLE
        self.active_count += 1
        self.file_count += 1
        request = Request(fate=fate, chance=chance, connect_s=self._latency_s(chance))
        self._open.append(request)
        return request

    def begin_bundle(self, names: Sequence[str]) -> Request:
        """Meet a request with several files; its fate is drawn by `bundles`."""
        self.request_count += 1
        self.file_count += len(names)
        self.active_count += 1
        chance = random.Random(f"request {self._seed} {self.request_count}")
        request = Request(fate=Fate.ACCEPT, chance=chance, connect_s=self._latency_s(chance))
        self._open.append(request)
        return request

    def end(self, request: Request, *, now: float) -> None:
        """Record that the client is gone; half of the files not stored by then never are."""
        self.active_count -= 1
        self._open.remove(request)
        file = request.stored
        if file is not None and now < file.stored_at and request.chance.random() < 0.5:
            self.stored.remove(file)

    async def receive(
        self, request: Request, *, sent_name: str, size: int, purpose: str, source: int
    ) -> Answer:
        """Take a complete body and return the answer. Raises ConnectionResetError where there is none."""
        work_s = self._latency_s(request.chance)
        if request.fate in STORING:
            stored_at = now_s() + work_s
            lag_s = self.settings.list_lag_s * request.chance.random()
            file = StoredFile(
                self.next_id(), sent_name, size, purpose, stored_at, stored_at + lag_s, source=source
            )
            file = request.stored = self._keep(file)
            if request.fate is Fate.CROSSED_ID:
                self._cross(request, file)
        await asyncio.sleep(work_s + 0.001)
        return self.answer(request)

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request by its fate. Raises ConnectionResetError, TimeoutError."""
        match request.fate:
            case Fate.LOSE_BODY | Fate.LOSE_STORED | Fate.LOSE_UNSTORED:
                raise ConnectionResetError
            case Fate.HANG_STORED:
                raise TimeoutError
            case Fate.REDIRECT:
                return Answer(307, {"location": "https://elsewhere.example/v1"})
            case Fate.SUCCESS_ERROR:
                return Answer(200, body=b'{"error": {"message": "invalid file"}}')
            case _ if request.fate in _STATUSES:
                headers = {}
                if request.fate in (Fate.THROTTLE_NAMED, Fate.BUSY_NAMED):
                    headers["retry-after"] = str(request.chance.randint(*self.settings.named_wait_s))
                return Answer(_STATUSES[request.fate], headers)
        if request.stored is None:
            raise AssertionError(f"{request.fate} stores nothing and answers nothing")
        return Answer(200, body=self._success(request, request.stored))

    async def list_page(self, *, limit: int, offset: int) -> list[ListedFile] | None:
        """Return a page of the list, newest first; None where the answer is of no use."""
        chance = self._list_chance()
        await asyncio.sleep(self._latency_s(chance))
        if self._list_is_broken(chance):
            return None
        now = now_s()
        visible = sorted(
            (one for one in self.stored if one.listed_at <= now and one.file_id not in self.hidden),
            key=lambda one: (one.stored_at, one.file_id),
            reverse=True,
        )
        count = min(limit, self.settings.page_max)
        return [self._listed(one) for one in visible[offset : offset + count]]

    async def look_up(self, file_id: str) -> list[ListedFile] | None:
        """Return the file with an id in a list, an empty one without it; None where the answer is of no use."""
        chance = self._list_chance()
        await asyncio.sleep(self._latency_s(chance))
        if self._list_is_broken(chance):
            return None
        now = now_s()
        return [self._listed(one) for one in self.stored if one.file_id == file_id and one.stored_at <= now]

    def hashes_of(self, file_id: str, functions: tuple[HashFunction, ...]) -> tuple[str, ...]:
        """Return the hashes of a file's bytes, none for a stranger's."""
        if not self.settings.returns_content:
            return ()
        self.content_count += 1
        sources = [one.source for one in self.stored if one.file_id == file_id and one.source]
        return tuple(hash_of(self.content_of(sources[0]), one) for one in functions) if sources else ()

    def content_at(self, file_id: str) -> bytes | None:
        """Return a file's bytes, None where the server returns none. A stranger's are its own, unless a test says which."""
        self.content_count += 1
        for one in self.stored:
            if one.file_id == file_id and self.settings.returns_content:
                if one.content is not None:
                    return one.content
                return self.content_of(one.source) if one.source else bytes(one.size)
        return None

    def utc_s(self) -> float:
        """Return the server's wall-clock time."""
        return EPOCH_UTC_S + now_s() + self.settings.clock_ahead_s

    def date_s(self) -> float | None:
        """Return what `Date` says, in whole seconds; None where there is none."""
        if not self.settings.has_date:
            return None
        ahead_s = self.settings.date_ahead_s
        own_s = EPOCH_UTC_S + now_s() + (self.settings.clock_ahead_s if ahead_s is None else ahead_s)
        return math.floor(own_s)

    def heal(self) -> None:
        """Let every fault stop."""
        self.faults = Faults()
        self.bundles.script.clear()
        self.bundles.chances.clear()
        self.settings = replace(self.settings, capacity=1_000_000)
        self.list_fails = 0

    def _list_chance(self) -> random.Random:
        self.list_count += 1
        return random.Random(f"list {self._seed} {self.list_count}")

    def _list_is_broken(self, chance: random.Random) -> bool:
        if self.list_fails > 0:
            self.list_fails -= 1
            return True
        return chance.random() < self.faults.list_fails

    def described(self, file: StoredFile) -> dict[str, object]:
        """Return how an answer to an upload describes a file."""
        return {
            "id": file.file_id,
            "filename": self.settings.name_of(file.filename),
            "bytes": file.size,
            "purpose": self.settings.purpose_of(file.purpose),
            "created_at": self._created_at(file),
        }

    def _success(self, request: Request, file: StoredFile) -> bytes:
        if request.fate is Fate.OTHER_FILE:
            file = request.chance.choice([one for one in self.stored[-8:] if one is not file] or [file])
        told = self.described(file)
        if self.settings.has_numbers:
            told["id"] = int(file.file_id[5:])
        if not self.settings.answers_created_at:
            del told["created_at"]
        if request.fate is Fate.BAD_ID:
            told["id"] = "../" + file.file_id
        elif request.fate is Fate.OTHER_SIZE:
            told["bytes"] = file.size + 1
        elif request.fate is Fate.OTHER_ID:
            old = [one for at, one in self._answered if at <= now_s() - ID_AGE_S_MIN]
            if old:
                told["id"] = request.chance.choice(old)
        elif request.fate is Fate.ANY_ID:
            told["id"] = request.chance.choice(self.stored).file_id
        if request.answers_with is not None:
            told["id"] = request.answers_with
        request.is_answered = True
        if request.fate is Fate.ACCEPT:
            self._answered.append((now_s(), file.file_id))
        return json.dumps(told).encode()

    def _keep(self, file: StoredFile) -> StoredFile:
        """Store a file and return it, or the equal one that has its id already."""
        id_of = self.settings.id_of
        if id_of is not None:
            content = self.content_of(file.source)
            file.file_id = id_of(file.filename, content)
            for one in [one for one in self.stored if one.file_id == file.file_id]:
                if self.content_of(one.source) == content:
                    return one
                self.stored.remove(one)
        self.stored.append(file)
        return file

    def _cross(self, request: Request, file: StoredFile) -> None:
        """Exchange the id of a file with one that is accepted and not answered yet, where there is one."""
        for other in self._open:
            theirs = other.stored
            is_free = theirs is not None and other.fate in (Fate.ACCEPT, Fate.CROSSED_ID)
            if other is not request and is_free and not other.is_answered and other.answers_with is None:
                other.answers_with, request.answers_with = file.file_id, theirs.file_id if theirs else None
                return

    def _listed(self, file: StoredFile) -> ListedFile:
        settings = self.settings
        return self.shown_as(
            ListedFile(
                file_id=file.file_id[5:] if settings.has_numbers else file.file_id,
                has_id=not settings.has_numbers,
                filename=settings.name_of(file.filename),
                bytes=file.size,
                purpose=settings.purpose_of(file.purpose),
                created_at=time_text(self._created_at(file, ahead_s=settings.list_ahead_s)),
            )
        )

    def _created_at(self, file: StoredFile, *, ahead_s: float = 0.0) -> object:
        created_s = EPOCH_UTC_S + file.stored_at + self.settings.clock_ahead_s + ahead_s
        match self.settings.created_form:
            case "seconds":
                return utc_text(math.floor(created_s))
            case "unix":
                return math.floor(created_s)
            case "unix_ms":
                return math.floor(created_s * 1000)
            case "local":
                return utc_text(created_s).removesuffix("Z")
            case _:
                return utc_text(created_s)

    def next_id(self) -> str:
        """Return the id of one more file."""
        self._id_count += 1
        return f"file-{self._id_count:06d}"

    def _latency_s(self, chance: random.Random) -> float:
        latency_s = chance.uniform(*self.settings.latency_s)
        return latency_s * 10 if chance.random() < 0.05 else latency_s


_STATUSES = {
    Fate.THROTTLE: 429,
    Fate.THROTTLE_NAMED: 429,
    Fate.BUSY: 503,
    Fate.BUSY_NAMED: 503,
    Fate.FAIL_EARLY: 500,
    Fate.FAIL_UNSTORED: 500,
    Fate.FAIL_STORED: 500,
    Fate.REJECT: 400,
    Fate.FORBID: 403,
    Fate.DENY: 401,
    Fate.ASTRAY: 404,
}


def unowned(stored: Iterable[StoredFile], owned_ids: set[str]) -> list[StoredFile]:
    """Return our files at the server that no receipt is for."""
    return [one for one in stored if one.source and one.file_id not in owned_ids]


def now_s() -> float:
    """Return the virtual time."""
    return asyncio.get_running_loop().time()
