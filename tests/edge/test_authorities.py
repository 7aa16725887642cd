"""The system's authorities are read when a connection needs them, and are the same then."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import trustme

from bulk_upload.edge.authorities import authorities_read_late

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _by_memory(context: ssl.SSLContext) -> object:
    return context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")


def _by_socket(context: ssl.SSLContext) -> object:
    with socket.socket() as plain, context.wrap_socket(plain, server_hostname="localhost") as wrapped:
        return wrapped


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the system trust one authority."""
    path = tmp_path / "authority.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.setenv("SSL_CERT_DIR", os.devnull)


@pytest.mark.usefixtures("authority")
@pytest.mark.parametrize("connect", [_by_memory, _by_socket])
def test_authorities_are_read_by_the_first_connection(connect: Callable[[ssl.SSLContext], object]) -> None:
    """A context that was made in the block trusts nobody until it is used, and then whom the system trusts."""
    with authorities_read_late():
        context = ssl.create_default_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.cert_store_stats()["x509_ca"] == 0
    connect(context)
    assert context.cert_store_stats()["x509_ca"] == 1
    assert type(context) is ssl.SSLContext


@pytest.mark.usefixtures("authority")
def test_contexts_that_are_made_later_are_as_ever() -> None:
    """Nothing of it is left after the block, whatever ended that."""
    with pytest.raises(ImportError), authorities_read_late():
        raise ImportError
    context = ssl.create_default_context()
    assert type(context) is ssl.SSLContext
    assert context.cert_store_stats()["x509_ca"] == 1


def test_aiohttp_reads_none_while_it_is_imported() -> None:
    """Neither of its contexts has authorities before a connection is made with it."""
    program = (
        "from bulk_upload.edge.authorities import authorities_read_late, _Unread\n"
        "with authorities_read_late():\n"
        "    from aiohttp import connector\n"
        "made = [one for one in vars(connector).values() if isinstance(one, __import__('ssl').SSLContext)]\n"
        "assert len(made) == 2 and all(type(one) is _Unread for one in made), made\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
