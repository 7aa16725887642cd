"""Other parties at the server: a stranger who uploads too, and a server whose list is out of order."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BOUNDARY = "stranger"


def upload_as_stranger(url: str, *, filename: str, content: bytes, purpose: str = "alignment") -> None:
    """Put a file at the server past the ledger, as another program of the same team would."""
    disposition = "Content-Disposition: form-data; name="
    body = (
        (
            f'--{BOUNDARY}\r\n{disposition}"purpose"\r\n\r\n{purpose}\r\n'
            f'--{BOUNDARY}\r\n{disposition}"files"; filename="{filename}"\r\n\r\n'
        ).encode()
        + content
        + f"\r\n--{BOUNDARY}--\r\n".encode()
    )
    headers = {"Authorization": "stranger", "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    request = urllib.request.Request(f"{url}/v1/flow/files", data=body, headers=headers, method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


class Unlistable(ThreadingHTTPServer):
    """Takes every upload, hangs up without an answer, and answers 500 to every other call."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _UnlistableHandler)
        self.upload_count = 0
        self.call_count = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _UnlistableHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Unlistable

    def do_PUT(self) -> None:
        left_bytes = int(self.headers["Content-Length"])
        while left_bytes:
            left_bytes -= len(self.rfile.read(min(left_bytes, 65536)))
        self.server.upload_count += 1
        self.close_connection = True

    def do_GET(self) -> None:
        self.server.call_count += 1
        self.send_error(500)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def unlistable() -> Iterator[Unlistable]:
    """Serve an `Unlistable` from a thread."""
    with Unlistable() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
