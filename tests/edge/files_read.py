"""What tests of reading have in common."""

from __future__ import annotations

import pytest

from bulk_upload.core.run.source import SourceError
from bulk_upload.edge.files import (
    FileReader,
    block_bytes_for,
)

BLOCK_BYTES = block_bytes_for(1)


async def error_of(reader: FileReader, path: str) -> SourceError:
    (loaded,) = await reader.load([path])
    assert isinstance(loaded, SourceError)
    with pytest.raises(SourceError) as opened:
        async with await reader.open(path):
            pass
    assert opened.value.reason == loaded.reason
    assert opened.value.local_limit == loaded.local_limit
    return loaded
