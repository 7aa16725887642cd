"""SFTP as a source, by fsspec and paramiko, from paramiko's own server: see docs/explanation/interop.md."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.manifest.paths import PathComplaint
from bulk_upload.core.model import Fingerprint
from bulk_upload.core.objects.address import read_prefix
from bulk_upload.core.objects.options import SourceOptions
from bulk_upload.core.run.source import LoadedFile, SourceError
from bulk_upload.edge.objects.listing import objects_under
from bulk_upload.edge.objects.lookup import Lookup
from bulk_upload.edge.objects.reader import ObjectReader
from bulk_upload.edge.objects.stores import Stores
from tests.edge.objects.stage import WAIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.interop


def large() -> bytes:
    """Return a content of several pieces; made only where it is used, since every collection imports this module."""
    return b"".join(b'{"text": "line %06d"}\n' % number for number in range(400_000))


@pytest.fixture
def options(tmp_path: Path) -> Iterator[SourceOptions]:
    """How a server with one large and forty small files is reached."""
    paramiko = pytest.importorskip("paramiko", reason="see docs/explanation/interop.md")
    root = tmp_path / "root"
    (root / "data" / "many").mkdir(parents=True)
    (root / "data" / "a b.jsonl").write_bytes(large())
    for number in range(40):
        (root / "data" / "many" / f"{number:02}").write_text(f"{number}\n")
    key = paramiko.RSAKey.generate(2048)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        known = paramiko.HostKeys()
        known.add(f"[127.0.0.1]:{port}", key.get_name(), key)
        known.save(str(tmp_path / "known_hosts"))
        thread = threading.Thread(target=serve, args=(paramiko, listening, key, str(root)), daemon=True)
        thread.start()
        yield SourceOptions(
            home=f"sftp://127.0.0.1:{port}",
            username="me",
            password="PLAYWORD",
            known_hosts=str(tmp_path / "known_hosts"),
            settings={"look_for_keys": False, "allow_agent": False},
        )
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def serve(paramiko: Any, listening: socket.socket, key: Any, root: str) -> None:
    """Serve connections until the socket is closed."""

    class Login(paramiko.ServerInterface):  # type: ignore[misc]
        def check_auth_password(self, username: str, password: str) -> Any:
            return paramiko.AUTH_SUCCESSFUL if password == "PLAYWORD" else paramiko.AUTH_FAILED

        def check_channel_request(self, *_: object) -> Any:
            return paramiko.OPEN_SUCCEEDED

        def get_allowed_auths(self, _: str) -> str:
            return "password"

    class Files(paramiko.SFTPServerInterface):  # type: ignore[misc]
        def stat(self, path: str) -> Any:
            try:
                return paramiko.SFTPAttributes.from_stat(os.stat(root + self.canonicalize(path)))
            except OSError as error:
                return paramiko.SFTPServer.convert_errno(error.errno)

        lstat = stat

        def list_folder(self, path: str) -> Any:
            listed = []
            for name in os.listdir(root + self.canonicalize(path)):
                listed.append(self.stat(f"{path}/{name}"))
                listed[-1].filename = name
            return listed

        def open(self, path: str, flags: int, _: object) -> Any:
            handle = paramiko.SFTPHandle(flags)
            handle.readfile = open(root + self.canonicalize(path), "rb")  # noqa: SIM115 - the server closes it
            return handle

    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        transport = paramiko.Transport(connection)
        transport.add_server_key(key)
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Files)
        transport.start_server(server=Login())


async def test_files_of_an_sftp_server(options: SourceOptions) -> None:
    """Listed, looked up, and read: one large, many small ones side by side."""
    stores = Stores([options], stall_s=WAIT_S)
    listed = [str(one.address) for one in objects_under(stores, read_prefix(f"{options.home}/data"))]
    assert len(listed) == 41
    with closing(Lookup(stores)) as lookup:
        lookup.expect([*listed, f"{options.home}/data/none"])
        lookup.look()
        planned = [lookup.inspect(path) for path in listed]
        assert isinstance(lookup.inspect(f"{options.home}/data/none"), PathComplaint)
    found = [one for one in planned if isinstance(one, Fingerprint)]
    with closing(ObjectReader(stores)) as reader:
        async with reader.source(listed[0], expected=found[0]) as stream:
            blocks = []
            while block := await stream.read():
                blocks.append(block)
        assert b"".join(blocks) == large()
        loaded = await reader.load(listed[1:], expected=found[1:])
    contents = [one.content for one in loaded if isinstance(one, LoadedFile)]
    assert contents == [b"%d\n" % number for number in range(40)]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [({"password": "WRONG"}, "refuses access"), ({"known_hosts": None}, "known_hosts")],
)
async def test_no_access(options: SourceOptions, wrong: dict[str, Any], reason: str) -> None:
    """A wrong password, and a host that nobody knows, which would be shown the right one."""
    stores = Stores([replace(options, **wrong)], stall_s=WAIT_S)
    with closing(ObjectReader(stores)) as reader, pytest.raises(SourceError, match=reason) as found:
        await reader.hash_content(f"{options.home}/data/many/00", HashFunction.SHA256)
    assert found.value.inaccessible
