from __future__ import annotations

import pytest
from msgspec.structs import replace

from bulk_upload.core.events import (
    ClockStepped,
    ControlChanged,
    Draining,
    Event,
    Noticed,
    ReceiptWithdrawn,
)
from bulk_upload.core.limits.caps import CapChange
from bulk_upload.core.model import EntryState
from bulk_upload.report.live.notable_events import (
    BY_SIGNAL,
    FAILURES_SHOWN_MAX,
    NOTICES_SHOWN_MAX,
    EventLine,
    EventLines,
)
from tests.report.scripted_run import ended, plan, settled, started


def _told(event_lines: EventLines, *events: Event) -> list[str]:
    return [str(told) for event in events for told in event_lines.lines_of(event)]


def test_the_plan_is_told_with_its_warnings() -> None:
    """One line says what will happen, and each warning has its own."""
    lines = _told(
        EventLines(), plan(1200, settled_count=200, doubt_count=2, warnings=("3 entries share a name",))
    )
    assert lines == [
        "plan: 1,200 entries, 1.2 GB: 998 to send (998.0 MB), 200 settled before, 2 in doubt, looked up first",
        "warning: 3 entries share a name",
    ]


def test_what_is_only_compared_is_not_to_send() -> None:
    """The run says what `plan` says."""
    lines = _told(
        EventLines(), replace(plan(3), send_count=0, send_bytes=0, compare_count=3, compare_bytes=30)
    )
    assert lines == ["plan: 3 entries, 3.0 MB: 3 to compare (30 B), nothing to send"]


def test_a_change_by_hand_is_told_with_who_made_it() -> None:
    """Whoever reads the log knows why the run went otherwise from here on; a name may steer no terminal."""
    rate = CapChange(what="--rate", before="off", after="5/s")
    pause = CapChange(what="pause", before="running", after="paused")
    assert _told(
        EventLines(),
        ControlChanged(change=rate, by="kim (uid 7)"),
        ControlChanged(change=pause, by="\x1b[2J"),
    ) == ["control: --rate: off -> 5/s, by kim (uid 7)", "control: paused, by \\x1b[2J"]


def test_what_goes_well_is_not_told() -> None:
    """Attempts and accepted entries make no lines."""
    assert _told(EventLines(), started("a"), ended("a"), settled("a")) == []


@pytest.mark.parametrize(
    ("state", "head"),
    [
        (EntryState.REJECTED, "rejected"),
        (EntryState.FAILED_LOCAL, "failed"),
        (EntryState.INVALID, "invalid"),
        (EntryState.IN_DOUBT, "in doubt"),
        (EntryState.PENDING, "not finished"),
    ],
)
def test_each_way_to_fail_has_its_word(state: EntryState, head: str) -> None:
    """A line names how the entry ended, the path and the reason."""
    assert _told(EventLines(), settled("a/b.jsonl", state, reason="because")) == [
        f"{head}: a/b.jsonl: because"
    ]


@pytest.mark.parametrize(
    ("state", "head"), [(EntryState.WITHDRAWN, "withdrawn"), (EntryState.IN_DOUBT, "in doubt")]
)
def test_a_withdrawn_receipt_is_told(state: EntryState, head: str) -> None:
    """After its entry was accepted, which makes no line."""
    event = ReceiptWithdrawn(
        path="a", purpose="p", file_id="file-1", file_bytes=1, state=state, reason="because"
    )
    assert _told(EventLines(), settled("a"), event) == [f"{head}: a: because"]


def test_failures_are_told_up_to_a_number_and_then_announced_as_counted() -> None:
    """A thousand failures make eleven lines, the last of which says why there are no more."""
    lines = _told(EventLines(), *(settled(f"f{n}", EntryState.REJECTED, reason="no") for n in range(1000)))
    assert len(lines) == FAILURES_SHOWN_MAX + 1
    assert lines[-1].startswith("more failures: ")


def test_notices_are_told_up_to_a_number() -> None:
    """Notices have their own bound, so that they cannot push failures aside."""
    event_lines = EventLines()
    lines = _told(event_lines, *(Noticed(message="renamed", path=f"f{n}") for n in range(1000)))
    assert len(lines) == NOTICES_SHOWN_MAX + 1
    assert lines[0] == "note: f0: renamed"
    assert _told(event_lines, settled("a", EntryState.REJECTED)) == ["rejected: a: no reason recorded"]


def test_a_drain_is_told_once_and_what_it_leaves_pending_is_not() -> None:
    """A drain leaves thousands of entries pending: one line says so."""
    lines = _told(
        EventLines(),
        Draining(reason="Ctrl-C"),
        Draining(reason="Ctrl-C"),
        settled("a", EntryState.PENDING, reason="drained"),
        settled("b", EntryState.REJECTED, reason="HTTP 400"),
    )
    assert lines == [
        "draining: Ctrl-C; finishing uploads in flight, starting nothing new",
        "rejected: b: HTTP 400",
    ]


def test_a_drain_by_a_signal_is_told_where_the_signal_is_received() -> None:
    """Not twice; its pending entries are not failures either."""
    lines = _told(
        EventLines(),
        Draining(reason=f"{BY_SIGNAL}SIGINT"),
        settled("a", EntryState.PENDING, reason="drained"),
    )
    assert lines == []


def test_names_and_reasons_cannot_steer_a_terminal() -> None:
    """Escapes, direction overrides and undecodable bytes are spelled out wherever they came from."""
    lines = _told(
        EventLines(),
        settled("a\x1b[31m\udcff\u202e", EntryState.REJECTED, reason="no\nway\x07"),
        Noticed(message="odd\x9b", path="p\r"),
        Draining(reason="stop\x1b]0;x"),
        plan(1, warnings=("w\u2028",)),
    )
    assert lines[0] == r"rejected: a\x1b[31m\xff\u202e: no\nway\x07"
    assert all(line.isprintable() for line in lines)


def test_a_long_path_is_cut_at_its_head_to_leave_room_for_the_reason() -> None:
    """The end of a path tells files apart, and the reason must still be seen."""
    told = EventLine(head="rejected", path="folder/" * 30 + "end.jsonl", text="HTTP 400")
    line = told.fitted(80)
    assert len(line) < 60
    assert line.startswith("rejected: ...")
    assert line.endswith("/end.jsonl: HTTP 400")
    assert told.fitted(1000) == str(told)


@pytest.mark.parametrize(
    ("step_s", "words"),
    [
        (3720.0, "note: this machine's clock was set forward by, or it slept for, 1 h 02 min"),
        (-20.0, "note: this machine's clock was set back by 20 s"),
    ],
)
def test_a_clock_that_is_set_has_a_line(step_s: float, words: str) -> None:
    """Each step has one line, also after many other notes; a clock that is set all the time has no more than ten."""
    lines = EventLines()
    for _ in range(NOTICES_SHOWN_MAX + 5):
        lines.lines_of(Noticed(message="x"))
    told = [str(line) for _ in range(50) for line in lines.lines_of(ClockStepped(step_s=step_s))]
    assert told == [words] * NOTICES_SHOWN_MAX
