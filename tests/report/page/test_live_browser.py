"""The live page in a real browser. Needs Chromium and the extra `browser`; skips with the reason where they are missing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.report.page.conftest import EVIL
from tests.report.page.pages import COLOURS_OF_TEXT, Watched, unreadable
from workloads.live_states import served, state

pytestmark = pytest.mark.browser

FIRST_TITLE = "Running: 40,000 of 100,000 files"
STEPS = 200
ELEMENTS_MAX = 2000
STATE_BYTES_MAX = 50_000
FOCUSED = """() => {
  const one = document.activeElement;
  const style = getComputedStyle(one);
  return [one.id || one.name || one.type || one.getAttribute("aria-label"), style.outlineStyle, parseFloat(style.outlineWidth)];
}"""


def _open(browser: Any, where: str, **context: Any) -> Watched:
    watched = Watched(browser, **context)
    watched.page.goto(where)
    watched.waits_for("#headline", FIRST_TITLE)
    return watched


def test_states_are_shown_as_they_come(chromium: Any) -> None:
    """Names as text, never as markup; the token leaves the address; nothing is asked elsewhere or complained about."""
    with served([]) as (where, publish):
        publish(json.dumps(state()).encode())
        watched = _open(chromium, where)
        page = watched.page
        assert "#" not in page.url
        assert page.locator("#uploads tbody tr").count() == 64
        assert page.locator("#failures tbody tr").count() == 50
        assert (
            page.locator("#failures-more").inner_text() == "The first 50 of 190; bulk-upload report has all."
        )
        assert page.locator("main img, main script").count() == 0
        assert page.title() == "40 % running"
        publish(json.dumps(state(41_000)).encode())
        watched.waits_for("#headline", "Running: 41,000 of 100,000 files")
        end = state(
            phase="ended",
            good=True,
            title="Ended: 3 of 3 files accepted",
            uploads=[],
            failures=[],
            failure_count=0,
        )
        publish(json.dumps(end).encode())
        watched.waits_for("#headline", "Ended: 3 of 3 files accepted")
        assert page.locator("#headline").get_attribute("class") == "good"
        assert page.locator("#said").inner_text() == "Ended: 3 of 3 files accepted. 64 in flight, as set"
        assert not page.locator("#uploads").is_visible()
        assert not page.locator("#failures").is_visible()
    assert watched.complaints == []
    assert {one.split("/")[2] for one in watched.requests} == {where.split("/")[2]}


def test_many_states_of_a_large_run_cost_the_same(chromium: Any) -> None:
    """Whatever the number of entries: a bounded state, a bounded document, and text that stays selected."""
    with served([]) as (where, publish):
        first = json.dumps(state()).encode()
        assert len(first) <= STATE_BYTES_MAX
        publish(first)
        watched = _open(chromium, where)
        page = watched.page
        page.evaluate("getSelection().selectAllChildren(document.querySelector('#failures-rows td.state'))")
        before = page.evaluate("document.querySelectorAll('*').length")
        assert before <= ELEMENTS_MAX
        for number in range(1, STEPS + 1):
            publish(json.dumps(state(40_000 + 100 * number)).encode())
        watched.waits_for("#headline", f"Running: {40_000 + 100 * STEPS:,} of 100,000 files")
        assert page.evaluate("document.querySelectorAll('*').length") == before
        assert page.evaluate("getSelection().toString()") == "failed"
    assert watched.complaints == []


def test_a_page_without_the_token_or_under_another_name_shows_nothing(chromium: Any) -> None:
    """A wrong token, none, and a name that points here, even with the right token."""
    with served([]) as (where, publish):
        publish(json.dumps(state()).encode())
        address, _, token = where.partition("#")
        for fragment, words in (("#wrong", "The token is wrong"), ("", "Open the address")):
            watched = Watched(chromium)
            watched.page.goto(address + fragment)
            watched.waits_for("#headline", "Not connected")
            assert watched.page.locator("#why").inner_text().startswith(words)
            assert watched.page.locator("#uploads tbody tr").count() == 0
        stranger = Watched(chromium)
        answer = stranger.page.goto(f"{address.replace('127.0.0.1', EVIL)}#{token}")
        assert answer.status == 421
        assert "headline" not in stranger.page.content()


def test_every_control_is_reached_and_worked_by_keyboard(chromium: Any) -> None:
    """In the order in which they are seen, with a ring around the one that has the focus."""
    asked: list[dict[str, object]] = []
    with served(asked) as (where, publish):
        publish(json.dumps(state()).encode())
        watched = _open(chromium, where)
        page = watched.page
        reached = []
        for _ in range(7):
            page.keyboard.press("Tab")
            name, outline, width = page.evaluate(FOCUSED)
            reached.append(name)
            assert outline == "solid", name
            assert width >= 2, name
        assert reached == [
            "pause", "max_concurrency", "bandwidth", "rate", "submit", "Entries that need attention", "Uploads in flight",
        ]  # fmt: skip
        page.locator("#pause").focus()
        page.keyboard.press("Space")
        watched.waits_for("#answer", "done 1")
        for number, (field, text) in enumerate(
            (("max_concurrency", "8"), ("bandwidth", "5MB/s"), ("rate", "2/s")), start=2
        ):
            page.keyboard.press("Tab")
            page.keyboard.type(text)
            page.keyboard.press("Enter")
            watched.waits_for("#answer", f"done {number}")
            page.keyboard.press("Control+A")
            page.keyboard.press("Delete")
            assert asked[-1] == {field: text}
    assert asked[0] == {"paused": True}
    assert watched.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("phase", ["running", "paused", "ended"])
def test_all_text_of_the_live_page_can_be_read(chromium: Any, scheme: str, phase: str) -> None:
    """Each colour of text that is seen stands out 4.5 to 1 from what is behind it."""
    with served([]) as (where, publish):
        publish(json.dumps(state(phase=phase, good=False)).encode())
        pairs = _open(chromium, where, color_scheme=scheme).page.evaluate(COLOURS_OF_TEXT)
    assert len(pairs) >= 3
    assert unreadable(pairs) == []


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_shows_the_live_page_without_scrolling_sideways(chromium: Any, width: int) -> None:
    """Nothing sticks out, however long a path is."""
    with served([]) as (where, publish):
        long = [["folder/" * 30 + "a.jsonl", "12.4 MB", 0.5, "held by the bandwidth cap", "1 min 05 s"]]
        publish(json.dumps(state(uploads=long)).encode())
        page = _open(chromium, where, viewport={"width": width, "height": 800}).page
        assert page.evaluate("document.documentElement.scrollWidth") == width
