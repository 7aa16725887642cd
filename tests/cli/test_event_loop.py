"""The event loop that a run gets."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util

import pytest

from bulk_upload.cli.event_loop import run_on_event_loop, uses_uvloop


async def _module_of_loop() -> str:
    return type(asyncio.get_running_loop()).__module__


@pytest.mark.skipif(not uses_uvloop(), reason="uvloop is not installed, or gains nothing")
def test_uvloop_runs_where_it_is_used() -> None:
    """Who installs the extra needs no option."""
    uvloop = importlib.import_module("uvloop")
    assert run_on_event_loop(_module_of_loop) == uvloop.Loop.__module__


def test_a_run_needs_no_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is optional."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not uses_uvloop((3, 11))
    assert run_on_event_loop(_module_of_loop)


@pytest.mark.parametrize(("version", "is_used"), [((3, 11), True), ((3, 12), True), ((3, 13), False)])
def test_uvloop_is_used_where_it_gains_something(
    version: tuple[int, int], is_used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.13 has no use for it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert uses_uvloop(version) is is_used
