"""A file's content at a scripted server, and what reading it back gives."""

from __future__ import annotations

import hashlib
import random
import re

from bulk_upload.core.content_hash import SHA256_ONLY, HashFunction
from bulk_upload.core.doubt.content import ByteRange, ReadBack
from tests.edge.transport.scripted_server import Exchange, Scene, ScriptedServer, answer
from tests.edge.transport.shipping import transport_to

# The same in every test process: some of it becomes the names of tests.
CONTENT = random.Random(5000).randbytes(5000)
RANGES = (ByteRange(0, 100), ByteRange(1000, 50), ByteRange(4900, 100))
PARTS = CONTENT[:100] + CONTENT[1000:1050] + CONTENT[4900:]
WHOLE_BACK = ReadBack(hashes=(hashlib.sha256(CONTENT).hexdigest(),), read_bytes=5000, total_bytes=5000)
PARTS_BACK = ReadBack(hashes=(hashlib.sha256(PARTS).hexdigest(),), read_bytes=250, by_ranges=True)


def serves(content: bytes = CONTENT, *, total: str | None = None, shift: int = 0, cut: int = 0) -> Scene:
    """Serve ranges: `total` in place of the length, places that are off by `shift`, parts that lack `cut` bytes."""

    async def scene(exchange: Exchange) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", exchange.request.header("Range") or "")
        if asked is None:
            await exchange.send(answer(200, content))
            return
        first, last = int(asked[1]), int(asked[2])
        headers = {"Content-Range": f"bytes {first + shift}-{last + shift}/{total or len(content)}"}
        await exchange.send(answer(206, content[first : last + 1 - cut], headers))

    return scene


async def read_back(
    *scenes: Scene,
    ranges: tuple[ByteRange, ...] = (),
    file_bytes: int = 5000,
    functions: tuple[HashFunction, ...] = SHA256_ONLY,
) -> ReadBack:
    server = ScriptedServer(*scenes)
    async with server.running(), transport_to(server.url, stall_s=5) as transport:
        return await transport.read_back("f-1", file_bytes=file_bytes, ranges=ranges, functions=functions)
