from __future__ import annotations

from bulk_upload.core.events import BodyNow, Paused
from bulk_upload.core.model import Unavailable
from bulk_upload.report.live.slow_uploads import Uploads
from tests.report.scripted_run import LOST, TAKEN, ScriptedRun, ended, settled, started


class _Bodies:
    """The requests in flight, and how often somebody asked for them."""

    def __init__(self, *bodies: BodyNow) -> None:
        self.bodies = bodies
        self.asked = 0

    def __call__(self) -> tuple[BodyNow, ...]:
        self.asked += 1
        return self.bodies


def _body(path: str, left_bytes: int, *, waiting: bool = False) -> BodyNow:
    return BodyNow(path=path, body_bytes=100, left_bytes=left_bytes, waiting=waiting)


def _doing(uploads: Uploads) -> dict[str, str]:
    return {one.path: one.doing for one in uploads.longest(10)}


def test_each_state_has_its_words() -> None:
    """Waiting for a connection, sending, awaiting, backing off, waiting for a slot, in doubt, recording."""
    run = ScriptedRun()
    uploads = Uploads(_Bodies(_body("a", 0, waiting=True), _body("b", 40), _body("c", 100)), run.now)
    for path in "abcdefg":
        uploads.on_event(started(path))
    uploads.on_event(ended("d", Unavailable(reason="reset"), retry_in_s=5.5))
    uploads.on_event(ended("e", Unavailable(reason="reset"), retry_in_s=1.0))
    uploads.on_event(ended("f", LOST))
    uploads.on_event(ended("g", TAKEN))
    run.moves(seconds=3.0)
    assert _doing(uploads) == {
        "a": "waiting for a connection",
        "b": "sending",
        "c": "awaiting the answer",
        "d": "backing off, 3 s",
        "e": "waiting for a slot",
        "f": "in doubt, looking it up",
        "g": "recording",
    }
    assert [one.share for one in uploads.longest(3)] == [0.0, 0.4, 1.0]


def test_what_holds_a_body_up_is_told_once_it_lasts() -> None:
    """A block is read in a moment, a piece passes the cap soon: only what lasts from look to look changes words."""
    run = ScriptedRun()
    bodies = _Bodies()
    uploads = Uploads(bodies, run.now)
    uploads.on_event(started("a"))
    run.moves(seconds=3.0)
    said = []
    for left_bytes, reading, held in (
        (10, True, False), (10, True, False), (20, True, False), (20, False, False),
        (30, False, True), (40, False, False), (50, False, False), (100, False, False),
    ):  # fmt: skip
        body = BodyNow(
            path="a", body_bytes=100, left_bytes=left_bytes, waiting=False, reading=reading, held=held
        )
        bodies.bodies = (body,)
        said.append(_doing(uploads)["a"])
    assert said == [
        "sending", "reading the file", "sending", "sending",
        "held by the bandwidth cap", "held by the bandwidth cap", "sending", "awaiting the answer",
    ]  # fmt: skip


def test_an_upload_that_only_waits_for_the_server_says_so() -> None:
    """During a pause no slot would help; a pause is never shortened by a later one."""
    run = ScriptedRun()
    uploads = Uploads(_Bodies(), run.now)
    uploads.on_event(started("a"))
    uploads.on_event(ended("a", Unavailable(reason="HTTP 429"), retry_in_s=1.0))
    uploads.on_event(Paused(pause_s=6.0, reason="HTTP 429 from the server"))
    uploads.on_event(Paused(pause_s=2.0, reason="HTTP 429 from the server"))
    run.moves(seconds=5.5)
    assert _doing(uploads) == {"a": "paused by the server"}
    run.moves(seconds=0.6)
    assert _doing(uploads) == {"a": "waiting for a slot"}


def test_those_that_back_off_are_counted() -> None:
    """Each until its wait is over, it begins again, or it is settled."""
    run = ScriptedRun()
    uploads = Uploads(_Bodies(), run.now)
    for path, wait_s in (("a", 5.0), ("b", 10.0), ("c", 10.0), ("d", 10.0)):
        uploads.on_event(started(path))
        uploads.on_event(ended(path, Unavailable(reason="reset"), retry_in_s=wait_s))
    uploads.on_event(started("e"))
    assert uploads.backing_off_count() == 4
    uploads.on_event(started("b", attempt_no=2))
    uploads.on_event(settled("c"))
    assert uploads.backing_off_count() == 2
    run.moves(seconds=6.0)
    assert uploads.backing_off_count() == 1


def test_the_one_that_began_first_is_first_and_the_settled_are_gone() -> None:
    """A retry does not begin anew, and what is over makes room for the next."""
    run = ScriptedRun()
    uploads = Uploads(_Bodies(), run.now)
    for path in "abcd":
        uploads.on_event(started(path))
        run.moves(seconds=1.0)
    uploads.on_event(ended("a", Unavailable(reason="reset"), retry_in_s=0.0))
    uploads.on_event(started("a", attempt_no=2))
    uploads.on_event(settled("b"))
    run.moves(seconds=5.0)
    assert [(one.path, one.since_s) for one in uploads.longest(2)] == [("a", 9.0), ("c", 7.0)]


def test_what_is_over_at_once_is_never_shown() -> None:
    """Small files do not flicker by, and nobody asks for bodies that are not shown."""
    run = ScriptedRun()
    bodies = _Bodies()
    uploads = Uploads(bodies, run.now)
    for path in "abc":
        uploads.on_event(started(path))
    run.moves(seconds=1.0)
    assert uploads.longest(3) == []
    assert bodies.asked == 0


def test_names_cannot_steer_the_terminal() -> None:
    """A path is shown as it is spelled."""
    run = ScriptedRun()
    uploads = Uploads(_Bodies(), run.now)
    uploads.on_event(started("a\x1b[2J"))
    run.moves(seconds=3.0)
    assert uploads.longest(1)[0].path == r"a\x1b[2J"
