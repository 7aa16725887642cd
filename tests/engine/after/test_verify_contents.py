"""Contents that a server does not show as they were sent: verifying goes on, and counts what was compared."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.run.verify import DifferenceKind
from tests.engine.after.hosts import Host, Server


@pytest.mark.parametrize("status", [400, 403])
async def test_verify_goes_on_past_a_content_that_may_not_be_read(
    host: Host, server: Server, status: int
) -> None:
    """It is counted, and what the server says is kept once; the other receipts are compared."""
    host.gets("first", 0)
    host.gets("second", 100)
    server.refuses["first"] = status
    server.hashes["second"] = ("b" * 64,)
    found, verified = await host.verify(FLOW)
    assert [(one.kind, one.file_id) for one in found] == [(DifferenceKind.CONTENT, "second")]
    assert (verified.refused_count, verified.content_count) == (1, 1)
    assert "first" in verified.refused_reason


async def test_verify_counts_as_compared_what_was_downloaded(host: Host, server: Server) -> None:
    """A file that the server lists without content is a difference, and is not counted as compared."""
    host.gets("own", 0)
    server.has_content = False
    found, verified = await host.verify(FLOW)
    assert [(one.kind, one.file_id) for one in found] == [(DifferenceKind.CONTENT, "own")]
    assert found[0].detail.endswith("the server returns no content, HTTP 404")
    assert verified.content_count == 0


@pytest.mark.parametrize("keeps_names", [True, False])
async def test_another_name_is_a_difference_only_where_names_are_kept(
    host: Host, server: Server, keeps_names: bool
) -> None:
    """A server that sanitises names has renamed nothing for good, and its files can be relied on as before."""
    host.loses(None, 0)
    host.gets("own", 0)
    server.files["own"] = replace(server.files["own"], filename="n_me")
    found, verified = await host.verify(replace(FLOW, keeps_names=keeps_names))
    assert [one.kind for one in found] == ([DifferenceKind.RENAMED] if keeps_names else [])
    assert verified.has_names is keeps_names
