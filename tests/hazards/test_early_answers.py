"""A refusal that comes before the body was read, from a server that closes at once: its true status is heard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bulk_upload.exit_status import ExitStatus
from tests.hazards.fault_kinds import KINDS, Kind
from tests.hazards.fault_scenes import never_invites
from tests.hazards.fault_server import ALWAYS, FaultServer, serving
from tests.hazards.fault_wire import Exchange, answer
from tests.hazards.hazard_jobs import HazardJob, meet_all

SIZES = (300_000, 9_000_000)


def heard_by_who_waits(raw: bytes, *, accepts: bool = False) -> Kind:
    """A server whose answer is lost in the reset unless the client waits for `100 Continue` before it sends."""

    async def play(server: FaultServer, exchange: Exchange) -> None:
        if not exchange.upload.header("expect"):
            await exchange.read_form(share=0.3)
            exchange.reset()
        elif accepts and sum(one.struck for one in server.uploads) > 2:
            await server.accept(exchange)
        else:
            await exchange.send(raw)
            exchange.close()

    return Kind(family="early", play=play, strikes=ALWAYS)


KINDS_BY_STATUS = {
    "413": replace(
        heard_by_who_waits(answer(413, b'{"detail": "too large"}')),
        state=("rejected",),
        final=("rejected",),
        puts_max=3,
    ),
    "401": replace(
        heard_by_who_waits(answer(401)),
        state=("pending",),
        exits=frozenset({ExitStatus.CREDENTIALS_REFUSED}),
        puts_max=3,
    ),
    "429": replace(
        heard_by_who_waits(answer(429, b"", {"Retry-After": "0"}), accepts=True),
        # Throttling uses no attempt; whether the next request waits again is the transport's choice.
        puts_max=4,
    ),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("status", KINDS_BY_STATUS)
async def test_the_status_surfaces_within_three_attempts(tmp_path: Path, status: str, size: int) -> None:
    """After a loss in mid-body the next attempt waits for `100 Continue`, so that a reset cannot hide the answer."""
    job = HazardJob(tmp_path / "job", f"early-{status}", KINDS_BY_STATUS[status], size)
    with serving(job.server):
        await meet_all([job], at_once=1)


async def test_a_server_that_ignores_expect_keeps_nobody_waiting(tmp_path: Path) -> None:
    """It never says `100 Continue`: the body is sent after a few seconds all the same, and the file is stored once."""

    async def play(server: FaultServer, exchange: Exchange) -> None:
        if sum(one.struck for one in server.uploads) == 1:
            await exchange.read_form(share=0.3)
            exchange.reset()
        else:
            await never_invites(server, exchange)

    kind = replace(KINDS["never_invites"], play=play, strikes=ALWAYS, puts_max=3)
    job = HazardJob(tmp_path / "job", "never_invites", kind, 9_000_000)
    with serving(job.server):
        await meet_all([job], at_once=1)
    assert any(one.header("expect") for one in job.server.uploads)
