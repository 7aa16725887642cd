"""Questions that are asked again, and those that are not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bulk_upload.core.api.paging import ListedPage, PageRequest
from bulk_upload.core.api.server_clock import ClockOffset
from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.model import ListedFile
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.doubt.api_retry import AWAY_S, BACKOFF_S_MAX, TRIES_MAX, WAIT_S_MAX, ApiRetry
from bulk_upload.engine.doubt.inquiry import Inquiry, RequestDenied
from bulk_upload.errors import CredentialsRefused, ServerUnusable
from tests.fakes.virtual_time import VirtualClock, on_virtual_time

if TYPE_CHECKING:
    from bulk_upload.core.clock import Moment

FILE = ListedFile(file_id="file-1")


class Desk:
    """A server that answers what a test says, in order."""

    clock_offset_s = 0.0

    def clock_offset(self, then: Moment) -> ClockOffset:
        """Say that both clocks agree."""
        return ClockOffset(best_s=0.0, least_s=0.0)

    def __init__(self, clock: VirtualClock, *answers: ListedFile | NoAnswer | None) -> None:
        self._clock = clock
        self._answers = list(answers)
        self.asked_at: list[float] = []

    async def look_up(self, file_id: str) -> ListedFile | None:
        """Return or raise the next answer; the last one for ever."""
        assert file_id == "file-1"
        self.asked_at.append(self._clock.monotonic())
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, NoAnswer):
            raise answer
        return answer

    async def list_page(self, request: PageRequest) -> ListedPage:
        """Not asked here."""
        raise NotImplementedError

    async def delete(self, file_id: str) -> bool:
        """Not asked here."""
        raise NotImplementedError

    async def hashes_of(self, file_id: str, functions: tuple[HashFunction, ...]) -> tuple[str, ...]:
        """Not asked here."""
        raise NotImplementedError


def failed(status: int | None, retry_after_s: float | None = None) -> NoAnswer:
    return NoAnswer(f"HTTP {status}", http_status=status, retry_after_s=retry_after_s)


@pytest.mark.parametrize("status", [None, 200, 408, 425, 429, 500, 502, 503, 504])
@on_virtual_time
async def test_what_may_pass_is_asked_again(status: int | None) -> None:
    """A lost connection, a broken answer, a busy or failing server: the answer comes later."""
    clock = VirtualClock()
    desk = Desk(clock, failed(status), failed(status), FILE)
    assert await Inquiry(desk, ApiRetry(clock)).look_up("file-1") == FILE
    assert len(desk.asked_at) == 3


@on_virtual_time
async def test_a_named_wait_is_kept_by_everybody() -> None:
    """After a 429 that names ten seconds nobody asks before they are over."""
    clock = VirtualClock()
    desk = Desk(clock, failed(429, 10.0), FILE)
    inquiry = Inquiry(desk, ApiRetry(clock))

    async def later() -> None:
        await asyncio.sleep(1)
        await inquiry.look_up("file-1")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(inquiry.look_up("file-1"))
        tasks.create_task(later())
    assert desk.asked_at[0] < 1
    assert all(at >= 10 for at in desk.asked_at[1:])
    assert len(desk.asked_at) == 3


@on_virtual_time
async def test_a_server_that_stays_silent_is_given_up() -> None:
    """After a few tries the person is told to come back."""
    clock = VirtualClock()
    desk = Desk(clock, failed(None))
    with pytest.raises(ServerUnusable) as caught:
        await Inquiry(desk, ApiRetry(clock)).look_up("file-1")
    assert len(desk.asked_at) == TRIES_MAX
    assert not isinstance(caught.value, RequestDenied)


@on_virtual_time
async def test_a_server_that_is_away_is_waited_for() -> None:
    """Nobody can connect: the command waits half a minute, and not for ever."""
    clock = VirtualClock()
    desk = Desk(clock, NoAnswer("Connection refused", away=True))
    began = clock.monotonic()
    with pytest.raises(ServerUnusable):
        await Inquiry(desk, ApiRetry(clock)).look_up("file-1")
    assert AWAY_S <= clock.monotonic() - began < AWAY_S + BACKOFF_S_MAX


@on_virtual_time
async def test_a_wait_beyond_patience_is_not_waited_for() -> None:
    """The message says how long the server wants to be left alone."""
    clock = VirtualClock()
    desk = Desk(clock, failed(429, WAIT_S_MAX + 3600))
    with pytest.raises(ServerUnusable, match="asks to wait"):
        await Inquiry(desk, ApiRetry(clock)).look_up("file-1")
    assert len(desk.asked_at) == 1


@pytest.mark.parametrize("status", [401, 403])
@on_virtual_time
async def test_a_refused_key_is_not_tried_twice(status: int) -> None:
    """The key is wrong, and asking again would not mend it."""
    clock = VirtualClock()
    desk = Desk(clock, failed(status))
    with pytest.raises(CredentialsRefused):
        await Inquiry(desk, ApiRetry(clock)).look_up("file-1")
    assert len(desk.asked_at) == 1


@pytest.mark.parametrize("status", [302, 400, 405, 409, 422])
@on_virtual_time
async def test_a_no_is_taken_for_a_no(status: int) -> None:
    """The server understood: the same question gets the same answer."""
    clock = VirtualClock()
    desk = Desk(clock, failed(status))
    with pytest.raises(RequestDenied):
        await Inquiry(desk, ApiRetry(clock)).look_up("file-1")
    assert len(desk.asked_at) == 1


@on_virtual_time
async def test_what_waiting_cannot_mend_is_not_asked_again() -> None:
    """A certificate that is not trusted ends the command at the first question, with what to change."""
    clock, asked = VirtualClock(), 0

    class Untrusted:
        clock_offset_s = 0.0

        def clock_offset(self, then: Moment) -> ClockOffset:
            return ClockOffset(best_s=0.0, least_s=0.0)

        async def look_up(self, file_id: str) -> ListedFile | None:
            nonlocal asked
            asked += 1
            raise NoAnswer("not trusted", away=True, remedy="pass --ca-file")

    with pytest.raises(ServerUnusable) as caught:
        await Inquiry(Untrusted(), ApiRetry(clock)).look_up("file-1")  # type: ignore[arg-type]
    assert (asked, caught.value.hint, isinstance(caught.value, RequestDenied)) == (1, "pass --ca-file", False)
