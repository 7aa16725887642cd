"""TLS in front of a sink, with a certificate made on the spot: nginx, as users have it, or a small server in C."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from measuring.absent import Absent
from measuring.compiled import compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIG = """
worker_processes 1;
daemon off;
error_log stderr error;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    upstream sink {{ server 127.0.0.1:{sink_port}; keepalive 64; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port} ssl backlog=1024;
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/key.pem;
        ssl_session_cache shared:one:1m;
        location / {{
            proxy_pass http://sink;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
        }}
    }}
}}
"""
_STARTS_WITHIN_S = 5.0


def front_name() -> str:
    """Return which server `tls_front` runs. Raises Absent where there is no openssl."""
    if shutil.which("openssl", path=_search_path()) is None:
        raise Absent("openssl is not installed")
    return "a small server in C" if _nginx() is None else "nginx"


SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tls_front.c")


@contextmanager
def plain_tls_front(folder: str, sink_port: int) -> Iterator[tuple[str, int]]:
    """Run a TLS server of few lines with the folder's certificate; yield its URL and its process.

    It does nothing else, on any processor that is free: less of a machine than nginx takes. Raises Absent.
    """
    try:
        program = compiled(SOURCE, "ssl", "crypto")
    except subprocess.CalledProcessError:
        raise Absent("the headers of OpenSSL are not installed") from None
    certificate, key = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    words = [program, certificate, key, str(sink_port)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as front:
        assert front.stdout is not None
        yield f"https://127.0.0.1:{int(front.stdout.readline())}", front.pid
        front.terminate()


def make_certificate(folder: str) -> str:
    """Make a certificate for 127.0.0.1 in the folder and return its path; it is its own authority."""
    certificate = os.path.join(folder, "certificate.pem")
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", "30", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    words += ["-keyout", os.path.join(folder, "key.pem"), "-out", certificate]
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    return certificate


@contextmanager
def tls_front(folder: str, sink_port: int) -> Iterator[str]:
    """Run nginx, or where there is none the small server, with the folder's certificate; yield its URL. Raises Absent."""
    program = _nginx()
    if program is None:
        with plain_tls_front(folder, sink_port) as (url, _):
            yield url
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = os.path.join(folder, "nginx.conf")
    with open(config, "w", encoding="utf-8") as file:
        file.write(_CONFIG.format(folder=folder, sink_port=sink_port, port=port))
    with subprocess.Popen([program, "-p", folder, "-c", config, "-e", "stderr"]) as nginx:
        try:
            _wait_for(port, nginx)
            yield f"https://127.0.0.1:{port}"
        finally:
            nginx.terminate()


def _nginx() -> str | None:
    return shutil.which("nginx", path=_search_path())


def _search_path() -> str:
    # Not on everybody's path, and still where a daemon is installed.
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))


def _wait_for(port: int, nginx: subprocess.Popen[bytes]) -> None:
    ends_at = time.monotonic() + _STARTS_WITHIN_S
    while nginx.poll() is None and time.monotonic() < ends_at:
        try:
            with socket.create_connection(("127.0.0.1", port)):
                return
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise SystemExit("nginx does not start")
