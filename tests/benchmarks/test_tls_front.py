"""The TLS server in front of the benchmarks' sink passes on what it gets."""

from __future__ import annotations

import http.client
import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from measuring.absent import Absent
from servers.sink import Sink
from servers.tls_front import front_name, make_certificate, plain_tls_front, tls_front


def test_bodies_and_answers_pass_both_ways(tmp_path: Path) -> None:
    """A body of many pieces arrives whole, several requests go over one connection, and the certificate is trusted."""
    if sys.platform != "linux":
        pytest.skip("the sink uses epoll")
    try:
        certificate = make_certificate(str(tmp_path))
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    content = bytes(range(256)) * 8000
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.bin"\r\n\r\n'
    body = head + content + b"\r\n--b--\r\n"
    try:
        with Sink() as sink, plain_tls_front(str(tmp_path), sink.port) as (url, pid):
            assert pid
            trust = ssl.create_default_context(cafile=certificate)
            connection = http.client.HTTPSConnection(urlsplit(url).netloc, context=trust, timeout=60)
            for _ in range(3):
                connection.request(
                    "PUT", "/v1/flow/files", body, {"Content-Type": "multipart/form-data; boundary=b"}
                )
                assert connection.getresponse().read()
            connection.close()
            counts = sink.finish()
    except Absent as absent:
        pytest.skip(str(absent))
    assert counts.accepted == 3
    assert counts.file_bytes == 3 * len(content)


def test_where_nginx_is_not_installed_the_small_server_is_in_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows over TLS are measured there, too, and their table says with which server."""
    if sys.platform != "linux":
        pytest.skip("the sink uses epoll")
    monkeypatch.setattr("servers.tls_front._nginx", lambda: None)
    try:
        assert front_name() == "a small server in C"
        certificate = make_certificate(str(tmp_path))
        with Sink() as sink, tls_front(str(tmp_path), sink.port) as url:
            trust = ssl.create_default_context(cafile=certificate)
            connection = http.client.HTTPSConnection(urlsplit(url).netloc, context=trust, timeout=60)
            connection.request("GET", "/v1/flow/files")
            assert connection.getresponse().status
            connection.close()
            sink.finish()
    except Absent as absent:
        pytest.skip(str(absent))
