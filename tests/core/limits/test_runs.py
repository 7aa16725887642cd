"""Runs of starts between two waits that the server named: what they show of a quota."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk_upload.core.limits.adaptive import AdaptiveLimit
from bulk_upload.core.limits.adaptive.runs import Finding, Runs
from bulk_upload.core.limits.fixed import FixedLimit
from bulk_upload.core.limits.pause import Pause
from bulk_upload.core.limits.signal import Signal, SignalKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.limits.controller import Controller

STEP_S = 0.01
ACCEPTED = Signal(kind=SignalKind.ACCEPTED, file_bytes=1)


def _refused(wait_s: float | None) -> Signal:
    return Signal(kind=SignalKind.OVER_QUOTA, retry_after_s=wait_s)


def _by_chance(controller: Controller) -> bool:
    return controller.chance_share is not None


def _findings(counts: list[int], *, level: int = 4, refused_level: int = 4) -> list[Finding]:
    """Return what is found by runs of so many good starts, each ended by a refusal and a wait of a second."""
    runs, now, number, found = Runs(), 0.0, 0, []
    for count in counts:
        for _ in range(count):
            number += 1
            now += STEP_S
            runs.on_start(now, number, level)
        number += 1
        now += STEP_S
        runs.on_start(now, number, refused_level)
        found.append(runs.on_refused(number, now, refused_level))
        runs.on_pause(1.0)
        now += 1.0
    return found


def test_equal_runs_are_a_quota() -> None:
    """What refuses after as many starts each time keeps count."""
    assert Finding.CHANCE not in (found := _findings([40, 20, 20, 20, 20, 20]))
    assert found[-1] is Finding.QUOTA


def test_a_run_far_shorter_than_another_is_chance_in_either_order() -> None:
    """After equal waits a quota takes as many."""
    assert _findings([30, 40, 12])[-1] is Finding.CHANCE
    assert _findings([30, 12, 40])[-1] is Finding.CHANCE


def test_the_start_of_a_run_is_never_emptier_than_after_a_wait() -> None:
    """A first refusal after a few starts is refuted by a run of many, but a long first run refutes nothing."""
    assert _findings([10, 40])[-1] is Finding.CHANCE
    assert _findings([40, 10])[-1] is Finding.NOTHING


def test_each_run_is_refuted_once() -> None:
    """One lucky short run is no more than one piece of evidence."""
    assert _findings([30, 12, 40, 38]).count(Finding.CHANCE) == 1


def test_a_refusal_above_what_others_reached_is_not_refuted() -> None:
    """A limit of simultaneous requests may be the cause: the longer run had fewer at once."""
    assert Finding.CHANCE not in _findings([30, 12, 40], refused_level=5)


def test_a_refusal_beyond_a_known_limit_refutes_nothing() -> None:
    """That limit explains it, and evenly paced starts are taken where a bunch was not."""
    runs, found = Runs(), []
    for wait, count in enumerate((30, 12, 40)):
        begin = 100.0 * wait
        for number in range(count):
            runs.on_start(begin + STEP_S * number, 100 * wait + number + 1, 4)
        number, now = 100 * wait + count + 1, begin + STEP_S * count
        runs.on_start(now, number, 4)
        found.append(runs.on_refused(number, now, 4, is_explained=count == 40))
        runs.on_pause(1.0)
    assert Finding.CHANCE not in found


def test_refuted_waits_bind_only_the_refused() -> None:
    """Once runs show that no quota refuses, the wait that all share ends."""
    controller, now = AdaptiveLimit(), 0.0
    for count in (12, 60):
        for _ in range(count):
            now += STEP_S
            controller.on_end(now + 0.005, controller.on_start(now), ACCEPTED)
        now += STEP_S
        controller.on_end(now + 0.005, controller.on_start(now), _refused(1.0))
        if count == 12:
            assert controller.pause_s(now + 0.005) >= 1.0
            now += 1.0
    assert controller.pause_s(now + 0.005) == 0.0
    assert controller.chance_share is not None


def test_an_ended_pause_is_over() -> None:
    """A pause may be ended, and a later one holds again."""
    pause = Pause()
    pause.hold(0.0, 10.0)
    pause.end(4.0)
    assert pause.wait_s(4.0) == 0.0
    pause.hold(5.0, 2.0)
    assert pause.wait_s(5.0) == 2.0


def test_named_waits_bind_all_again_once_nothing_shows_that_they_need_not() -> None:
    """A wait that was named while only the refused waited stops all for what is left of it, the longest of them."""
    pause = Pause()
    pause.on_named(0.0, 60.0)
    pause.end(1.0)
    pause.on_named(2.0, 30.0)
    assert pause.wait_s(2.0) == 0.0
    pause.resume()
    assert pause.wait_s(2.0) == 58.0
    assert pause.wait_s(60.0) == 0.0


@pytest.mark.parametrize("make", [AdaptiveLimit, lambda: FixedLimit(8)], ids=["adaptive", "fixed"])
@pytest.mark.parametrize("alarm_names_s", [None, 1.0], ids=["no-wait", "a-wait"])
def test_an_alarm_lets_named_waits_bind_all_again(
    make: Callable[[], Controller], alarm_names_s: float | None
) -> None:
    """Refusals that were seen not to depend on the load, and then do: every wait that is not over holds all starts."""
    controller, now = make(), 0.0
    for count in (12, 60):
        for _ in range(count):
            now += STEP_S
            controller.on_end(now + 0.005, controller.on_start(now), ACCEPTED)
        now += STEP_S
        controller.on_end(now + 0.005, controller.on_start(now), _refused(1.0))
        now += 1.0
    assert _by_chance(controller)
    named_until = now + 30.0
    controller.on_end(now, controller.on_start(now), _refused(30.0))
    assert controller.pause_s(now) == 0.0
    now += 2.0
    for ticket in [controller.on_start(now) for _ in range(12)]:
        if _by_chance(controller):
            controller.on_end(now, ticket, _refused(alarm_names_s))
    assert not _by_chance(controller)
    assert controller.pause_s(now) == pytest.approx(named_until - now)
    assert controller.next_delay(named_until) < 10.0
