"""Files of filesystems that fsspec reads: told apart by what these say of them, and never sent from two versions."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import fsspec
import pytest

from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.doubt.content import ByteRange
from bulk_upload.core.manifest.paths import PathComplaint
from bulk_upload.core.model import Fingerprint
from bulk_upload.core.objects.address import read_address, read_prefix
from bulk_upload.core.objects.options import SourceOptions
from bulk_upload.core.run.source import LoadedFile, SourceChanged, SourceError
from bulk_upload.edge.objects.filesystems import Filesystems
from bulk_upload.edge.objects.filesystems.answer import read_block
from bulk_upload.edge.objects.filesystems.identity import version_in
from bulk_upload.edge.objects.filesystems.making import settings_of
from bulk_upload.edge.objects.listing import objects_under
from bulk_upload.edge.objects.reader import ObjectReader
from bulk_upload.edge.objects.stores import Stores
from bulk_upload.errors import UsageError
from tests.edge.objects.stage import WAIT_S, looked_up, planned, read

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = b"".join(b'{"text": "line %06d"}\n' % number for number in range(120_000))
HOME = "memory://box"


@pytest.fixture
def memory() -> Iterator[Any]:
    """fsspec's files in memory, which all of a process share."""
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    filesystem.pipe({"/box/large.jsonl": LARGE, "/box/d/ü %20#?.jsonl": b"odd\n", "/box/empty": b""})
    filesystem.pipe({f"/box/many/{number:03}": b"%d" % number for number in range(50)})
    yield filesystem
    filesystem.store.clear()


@pytest.fixture
def stores() -> Stores:
    return Stores(stall_s=WAIT_S)


@pytest.fixture
def reader(stores: Stores) -> Iterator[ObjectReader]:
    with closing(ObjectReader(stores)) as running:
        yield running


def test_looked_up(memory: Any, stores: Stores) -> None:
    """One by one, or by a list of their folder; what is missing, or a folder, is a finding."""
    paths = [f"{HOME}/{name}" for name in ("large.jsonl", "d/ü %20#?.jsonl", "empty", "none", "d")]
    many = [f"{HOME}/many/{number:03}" for number in range(60)]
    found = looked_up(stores, [*paths, *many])
    sizes = [one.size if isinstance(one, Fingerprint) else one.rule for one in found.values()]
    assert sizes[:5] == [len(LARGE), 4, 0, "missing-file", "unreadable-file"]
    assert sizes[5:] == [1] * 10 + [2] * 40 + ["missing-file"] * 10


def test_listed(memory: Any, stores: Stores) -> None:
    """All files below a folder, or the one file, by addresses that name them again."""
    listed = list(objects_under(stores, read_prefix(f"{HOME}/d")))
    assert [str(one.address) for one in listed] == [f"{HOME}/d/ü %20#?.jsonl"]
    assert len(list(objects_under(stores, read_prefix(HOME)))) == 53
    assert [one.file_bytes for one in objects_under(stores, read_prefix(f"{HOME}/large.jsonl"))] == [
        len(LARGE)
    ]


async def test_read(memory: Any, stores: Stores, reader: ObjectReader) -> None:
    """The content and its hash, of a large file, an empty one, a part, and many small ones at once."""
    path = f"{HOME}/large.jsonl"
    expected = planned(stores, path)
    assert await read(reader, path, expected) == LARGE
    assert await read(reader, f"{HOME}/empty") == b""
    whole, _ = await reader.hash_content(path, HashFunction.SHA256)
    assert whole == hashlib.sha256(LARGE).hexdigest()
    part, _ = await reader.hash_content(
        path, HashFunction.SHA256, expected=expected, ranges=[ByteRange(start=7, length=99)]
    )
    assert part == hashlib.sha256(LARGE[7:106]).hexdigest()
    loaded = await reader.load([f"{HOME}/many/{number:03}" for number in range(40)])
    contents = [one.content for one in loaded if isinstance(one, LoadedFile)]
    assert contents == [b"%d" % number for number in range(40)]


async def test_replaced_since_it_was_planned(memory: Any, stores: Stores, reader: ObjectReader) -> None:
    """Nothing is read of another version, and the present one is told."""
    path = f"{HOME}/large.jsonl"
    expected = planned(stores, path)
    memory.pipe("/box/large.jsonl", LARGE[::-1])
    with pytest.raises(SourceChanged, match="changed since") as found:
        await read(reader, path, expected)
    assert found.value.fingerprint == planned(stores, path)


async def test_replaced_while_it_is_read(memory: Any, stores: Stores, reader: ObjectReader) -> None:
    """The last block is kept back where the file is another one by then."""
    path = f"{HOME}/large.jsonl"
    expected = planned(stores, path)
    counts = []

    async def taken() -> None:
        async with reader.source(path, expected=expected) as stream:
            while block := await stream.read():
                counts.append(len(block))
                memory.pipe("/box/large.jsonl", LARGE[::-1])

    with pytest.raises(SourceError, match="replaced while"):
        await taken()
    assert 0 < sum(counts) < len(LARGE)


async def test_a_filesystem_that_stands_still(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that hangs is not waited for, and does not keep the program from ending."""
    goes_on = threading.Event()
    monkeypatch.setattr(type(memory), "info", lambda *_: goes_on.wait(WAIT_S))
    stuck = Stores(stall_s=0.05)
    with closing(ObjectReader(stuck)) as reader, pytest.raises(SourceError, match="did not answer") as found:
        await read(reader, f"{HOME}/large.jsonl")
    goes_on.set()
    assert found.value.transient


async def test_a_connection_that_stood_still_is_used_no_more(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked next does not wait behind the call that hangs, whether it is read or looked up."""
    goes_on, info = threading.Event(), memory.info
    hung: list[threading.Thread] = []

    def hangs_once(_: object, path: str) -> Any:
        if not hung:
            hung.append(threading.current_thread())
            goes_on.wait(WAIT_S)
        return info(path)

    monkeypatch.setattr(type(memory), "info", hangs_once)
    stores = Stores(stall_s=0.5)
    path = f"{HOME}/d/ü %20#?.jsonl"
    with closing(ObjectReader(stores)) as reader:
        with pytest.raises(SourceError, match="did not answer"):
            await read(reader, path)
        monkeypatch.setattr(stores, "_stall_s", WAIT_S)
        assert await read(reader, path) == b"odd\n"
    places = Filesystems(stores)
    hung.clear()
    monkeypatch.setattr(stores, "_stall_s", 0.5)
    with closing(places):
        ((_, first),) = places.ask(read_prefix(f"{HOME}/d"), ["empty"])
        monkeypatch.setattr(stores, "_stall_s", WAIT_S)
        ((_, second),) = places.ask(read_prefix(f"{HOME}/d"), ["empty"])
    assert isinstance(first, SourceError)
    assert isinstance(second, Fingerprint)
    assert hung[0].is_alive()
    goes_on.set()


@pytest.mark.parametrize(
    ("info", "mtime_ns", "etag"),
    [
        ({"mtime": datetime(2026, 1, 1, tzinfo=UTC)}, 1_767_225_600_000_000_000, None),
        ({"mtime": datetime(2026, 1, 1)}, 1_767_225_600_000_000_000, None),
        ({"mtime": 1_767_225_600.25}, 1_767_225_600_250_000_000, None),
        ({"modificationTime": 1_767_225_600_123}, 1_767_225_600_123_000_000, None),
        ({"modify": "20260101000000.5"}, 1_767_225_600_500_000_000, None),
        ({"LastModified": "2026-01-01T00:00:00Z", "ETag": '"a"'}, 1_767_225_600_000_000_000, "a"),
        ({"ETag": 'W/"a"'}, 0, "W/a"),
    ],
)
def test_identity(info: dict[str, Any], mtime_ns: int, etag: str | None) -> None:
    """Each filesystem has its own word and form for the time of the last change."""
    found = version_in({"type": "file", "size": 5, **info})
    assert (found.size, found.mtime_ns, found.etag) == (5, mtime_ns, etag)


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        ({"type": "file", "size": 5}, "nothing would show a change"),
        ({"type": "file", "size": 5, "modify": "Nov 30 06:12"}, "nothing would show a change"),
        ({"type": "file", "size": None, "mtime": 1.0}, "how long"),
        ({"type": "directory", "size": 0, "mtime": 1.0}, "no file"),
    ],
)
def test_what_nothing_is_known_of_is_refused(info: dict[str, Any], reason: str) -> None:
    """Without a time and a tag a mixed body could not be told from a whole one."""
    with pytest.raises(SourceError, match=reason) as found:
        version_in(info)
    assert found.value.inaccessible


class Requests(io.BytesIO):
    """An open file as paramiko has it, which can ask for many places at once."""

    asked: tuple[list[tuple[int, int]], ...] = ()

    def readv(self, places: list[tuple[int, int]]) -> Iterator[bytes]:
        """Yield what is at each place."""
        self.asked += (places,)
        for start, count in places:
            self.seek(start)
            yield self.read(count)


def test_a_block_over_sftp_is_asked_for_at_once() -> None:
    """Not 32 KiB after 32 KiB, and never more than the block: blocks follow each other, and end with the file."""
    file = Requests(LARGE[:200_000])
    blocks = [read_block(file, 150_000), read_block(file, 150_000), read_block(file, 1)]
    assert b"".join(blocks) == LARGE[:200_000]
    assert [len(one) for one in blocks] == [150_000, 50_000, 0]
    assert [len(places) for places in file.asked] == [5, 5, 1]


def test_settings() -> None:
    """Host and port come from the address, the login from the settings, by the filesystem's own words."""
    options = SourceOptions(home="x", username="me", password="SECRET", settings={"timeout": 5})
    assert settings_of(read_address("sftp://host.example:2222/x"), options) == {
        "host": "host.example",
        "port": 2222,
        "username": "me",
        "password": "SECRET",
        "timeout": 5,
    }
    assert settings_of(read_address("webhdfs://[::1]/x"), options)["user"] == "me"
    assert settings_of(read_address("webhdfs://[::1]/x"), options)["host"] == "::1"
    assert "SECRET" not in repr(options)


class Hadoop(BaseHTTPRequestHandler):
    """A name node of WebHDFS, and the data node it sends on to, with the files of `files`."""

    files: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path.removeprefix("/webhdfs/v1")), parse_qs(parts.query)
        operation = query["op"][0]
        if operation == "OPEN" and "sent" not in query:
            self.send_response(307)
            self.send_header("Location", f"http://{self.headers['Host']}{self.path}&sent=on")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif operation == "OPEN":
            offset = int(query.get("offset", ["0"])[0])
            length = int(query.get("length", [str(len(self.files[path]))])[0])
            self._answer(200, self.files[path][offset : offset + length])
        elif operation == "GETFILESTATUS" and path in self.files:
            self._answer(200, json.dumps({"FileStatus": self._status(path)}).encode())
        elif operation == "LISTSTATUS":
            listed = [
                self._status(one) | {"pathSuffix": one.rpartition("/")[2]}
                for one in self.files
                if one.rpartition("/")[0] == path.rstrip("/")
            ]
            self._answer(200, json.dumps({"FileStatuses": {"FileStatus": listed}}).encode())
        else:
            refusal = {"message": "none", "exception": "FileNotFoundException"}
            self._answer(404, json.dumps({"RemoteException": refusal}).encode())

    def _status(self, path: str) -> dict[str, Any]:
        return {"type": "FILE", "length": len(self.files[path]), "modificationTime": 1_767_225_600_123}

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


async def test_a_real_server(stores: Stores, reader: ObjectReader) -> None:
    """WebHDFS over HTTP, by fsspec's own client: looked up, listed and read."""
    Hadoop.files = {"/data/a.jsonl": LARGE, "/data/b c.jsonl": b"b\n"}
    with ThreadingHTTPServer(("127.0.0.1", 0), Hadoop) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            home = f"webhdfs://127.0.0.1:{server.server_port}"
            expected = planned(stores, f"{home}/data/a.jsonl")
            assert expected.mtime_ns == 1_767_225_600_123_000_000
            assert await read(reader, f"{home}/data/a.jsonl", expected) == LARGE
            listed = [str(one.address) for one in objects_under(stores, read_prefix(f"{home}/data"))]
            assert listed == [f"{home}/data/a.jsonl", f"{home}/data/b c.jsonl"]
            missing = looked_up(stores, [f"{home}/data/none"])[f"{home}/data/none"]
            assert isinstance(missing, PathComplaint)
            assert missing.rule == "missing-file"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("address", ["ftp://host.example/x", "webhdfs://host.example/x"])
def test_plain_hosts_elsewhere_are_refused(stores: Stores, address: str) -> None:
    """What another machine sends without encryption needs to be allowed, as for stores."""
    with pytest.raises(UsageError, match="without encryption"):
        list(objects_under(stores, read_prefix(address)))


def test_a_missing_package(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said what to install."""
    monkeypatch.setitem(__import__("sys").modules, "paramiko", None)
    with pytest.raises(UsageError) as found:
        list(objects_under(stores, read_prefix("sftp://127.0.0.1/x")))
    assert "paramiko" in (found.value.hint or "")
