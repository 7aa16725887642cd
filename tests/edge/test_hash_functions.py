"""What is read is hashed with the function that is asked for, from files and from servers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bulk_upload.core.content_hash import HashFunction, hash_of
from bulk_upload.core.doubt.content import ByteRange
from bulk_upload.core.run.source import LoadedFile
from bulk_upload.edge.files import FileReader
from bulk_upload.edge.source_tree import SourceTree

pytest.importorskip("blake3")

BOTH = tuple(HashFunction)


@pytest.mark.parametrize("size", [0, 1000, 5 * 1024 * 1024 + 7])
@pytest.mark.parametrize("function", BOTH)
async def test_a_file_is_hashed_on_the_way_as_the_run_wants(
    tmp_path: Path, function: HashFunction, size: int
) -> None:
    """Read whole or in blocks, it has the hash of its bytes; asked for another function, it is hashed with that."""
    content = os.urandom(size)
    (tmp_path / "a").write_bytes(content)
    reader = FileReader(SourceTree(str(tmp_path)), thread_count=1, hashing=function)
    async with await reader.open("a") as stream:
        while await stream.read():
            pass
        assert stream.content_hash == hash_of(content, function)
    async with reader.source("a") as source:
        if isinstance(source, LoadedFile):
            assert source.content_hash == hash_of(content, function)
    for asked in BOTH:
        assert (await reader.hash_content("a", asked))[0] == hash_of(content, asked)
        if size:
            part, _ = await reader.hash_content("a", asked, ranges=[ByteRange(1, size - 1)])
            assert part == hash_of(content[1:], asked)
    reader.close()


async def test_a_stream_whose_attributes_change_is_read_again_with_its_own_function(tmp_path: Path) -> None:
    """A hard link meanwhile takes another read: it is compared with the hash of the first one."""
    content = os.urandom(5 * 1024 * 1024)
    (tmp_path / "a").write_bytes(content)
    reader = FileReader(SourceTree(str(tmp_path)), thread_count=1, hashing=HashFunction.BLAKE3)
    async with await reader.open("a") as stream:
        await stream.read()
        os.link(tmp_path / "a", tmp_path / "b")
        while await stream.read():
            pass
        assert stream.content_hash == hash_of(content, HashFunction.BLAKE3)
    reader.close()
