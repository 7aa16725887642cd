"""A key that is rotated in the midst of a run is read again, once."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from bulk_upload.core.api.paging import PageRequest
from bulk_upload.core.api.secret import Secret
from bulk_upload.core.model import Accepted, Refused, Unavailable
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.errors import UsageError
from tests.edge.transport.scripted_server import Exchange, ScriptedServer, answer
from tests.edge.transport.shipping import KEY, ship, transport_to

NEW = "canary-key-new-11"


async def takes_the_new_key(exchange: Exchange) -> None:
    """Refuse every key but the new one, and repeat it in the refusal."""
    await exchange.read_body()
    given = exchange.request.header("Authorization")
    refusal = answer(401, {"detail": f"{given} is not a key"})
    listing = answer(200, {"object": "list", "data": []})
    good = listing if exchange.request.line.startswith("GET") else answer()
    await exchange.send(good if given == NEW else refusal)


def source(*keys: str) -> tuple[Callable[[], Secret], list[str]]:
    """Return what gives these keys in order, the last one for ever, and the list of what it gave."""
    given: list[str] = []

    def read() -> Secret:
        given.append(keys[min(len(given), len(keys) - 1)])
        return Secret(given[-1])

    return read, given


async def test_a_refused_key_is_read_again_and_the_entry_sent_again() -> None:
    """The refusal costs the entry one attempt; the next one has the new key."""
    read, given = source(NEW)
    server = ScriptedServer(takes_the_new_key)
    async with server.running(), transport_to(server.url, read_key_again=read) as transport:
        first = (await ship(transport)).outcome
        assert isinstance(first, Unavailable)
        assert first.http_status == 401
        assert KEY not in first.reason
        assert isinstance((await ship(transport)).outcome, Accepted)
    assert given == [NEW]


async def test_many_refusals_at_once_read_the_key_once() -> None:
    """All uploads in flight meet the old key's end together."""
    read, given = source(NEW)
    server = ScriptedServer(takes_the_new_key)
    async with server.running(), transport_to(server.url, read_key_again=read) as transport:
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(ship, transport)
        assert isinstance((await ship(transport)).outcome, Accepted)
    assert given == [NEW]


@pytest.mark.parametrize("again", [KEY, "another-wrong-key"])
async def test_a_key_that_stays_refused_is_final(again: str) -> None:
    """The same key again, or a new one that is refused before it worked: the run is told that the key is no good."""
    read, given = source(again)
    server = ScriptedServer(takes_the_new_key)
    async with server.running(), transport_to(server.url, read_key_again=read) as transport:
        outcomes = [(await ship(transport)).outcome for _ in range(3)]
    assert isinstance(outcomes[-1], Refused)
    assert again not in outcomes[-1].reason
    assert len(given) <= len(outcomes)
    assert given.count(again) == (3 if again == KEY else 1)


async def test_a_key_that_cannot_be_read_again_is_final() -> None:
    """A file that is gone by now does not end the run as a bug; the server's refusal does."""

    def gone() -> Secret:
        raise UsageError("cannot read the key")

    server = ScriptedServer(takes_the_new_key)
    async with server.running(), transport_to(server.url, read_key_again=gone) as transport:
        assert isinstance((await ship(transport)).outcome, Refused)


async def test_without_a_source_a_refused_key_is_final() -> None:
    """A key from a variable cannot change."""
    server = ScriptedServer(takes_the_new_key)
    async with server.running(), transport_to(server.url) as transport:
        assert isinstance((await ship(transport)).outcome, Refused)


async def test_questions_renew_the_key_too() -> None:
    """A listing that meets the old key's end is asked again at once with the new one."""
    read, given = source(NEW)
    server = ScriptedServer(takes_the_new_key)
    async with server.running():
        async with transport_to(server.url, read_key_again=read) as transport:
            assert (await transport.list_page(PageRequest(limit=10))).files == []
        async with transport_to(server.url) as transport:
            with pytest.raises(NoAnswer) as caught:
                await transport.list_page(PageRequest(limit=10))
    assert caught.value.http_status == 401
    assert given == [NEW]
    assert KEY not in str(caught.value)
