"""Starts the compiled sink: a server that takes uploads, throws the bodies away and counts them."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from measuring.compiled import compiled

if TYPE_CHECKING:
    from types import TracebackType

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sink.c")


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkCounts:
    """What a sink has seen.

    Attributes:
        connections: opened in all; `open_max` is how many of them were open at once.
        uploads: requests with a body, of which `accepted` got an id and `refused` a 429.
        malformed: requests that it did not understand.
        broken: connections that ended within a request.
        body_bytes: of all uploads; `file_bytes` are those of the accepted files alone.
        name_sum: of the accepted files' names; see `measuring.file_sets.name_sum`.
        first_head_s: by the monotonic clock, when the first upload's head came; 0 without one.
        span_s: from the first upload's head to the last answer.
        cpu_s: what the sink itself took.
    """

    connections: int
    open_max: int
    requests: int
    uploads: int
    accepted: int
    refused: int
    malformed: int
    broken: int
    body_bytes: int
    file_bytes: int
    name_sum: int
    first_head_s: float
    span_s: float
    cpu_s: float


class Sink:
    """A sink in a process of its own, while the context lasts.

    Args:
        latency_s: how long each answer to an upload waits after the last byte of its body.
        rate_per_s: requests a second beyond which uploads are refused; None for no limit.
        burst: how many may come at once all the same.
        retry_after_s: what a refusal asks for.
        keep: a folder for the file parts, each under the number in its id; None drops them unread.
    """

    def __init__(
        self,
        *,
        latency_s: float = 0.0,
        rate_per_s: float | None = None,
        burst: int = 1,
        retry_after_s: int = 1,
        keep: str | None = None,
    ) -> None:
        self._command = [compiled(SOURCE), "--latency-ms", str(latency_s * 1000)]
        if rate_per_s is not None:
            self._command += ["--rate", str(rate_per_s), "--burst", str(burst)]
            self._command += ["--retry-after", str(retry_after_s)]
        if keep is not None:
            self._command += ["--keep", keep]
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def finish(self) -> SinkCounts:
        """End the sink and return what it has counted."""
        assert self._process is not None
        told, _ = self._process.communicate()
        return SinkCounts(**json.loads(told))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.communicate()
