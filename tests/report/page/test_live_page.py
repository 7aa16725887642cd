"""The live page: it may do what it needs and nothing else; in a browser where one is there."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.from_thread
import pytest

from bulk_upload.edge.live_server import LiveServer
from bulk_upload.report.page.live_page import live_page

STATE: dict[str, Any] = {
    "phase": "running", "why": "8 in flight, as set", "files": [40_000, 100_000], "bytes": [1, 2], "files_text": "40,000 of 100,000",
    "bytes_text": "1 B of 2 B", "states": [["accepted", "accepted", 40_000], ["pending", "not finished", 60_000]],
    "numbers": [["Elapsed", "1 s", ""]], "points": [[number, number, number, 8] for number in range(600)],
    "uploads": [[f"<img src=x onerror=alert(1)>{number}", "1 B", 0.5, "sending", "3 s"] for number in range(64)],
    "failures": [{"path": "<b>x", "state": "failed_local", "reason": "<script>alert(1)</script>"}] * 50,
    "paused_by_hand": False, "may_change": True, "ledger": "m.ledger.db",
}  # fmt: skip


def test_the_page_may_load_nothing_and_runs_its_own_script_alone() -> None:
    """No address of another server is in it, and its policy names the hashes of its style and script."""
    page, policy = live_page()
    text = page.decode()
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert "innerHTML" not in text
    assert "'unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    assert "connect-src 'self'" in policy
    assert policy.count("'sha256-") == 2


@contextmanager
def served(asked: list[dict[str, object]]) -> Iterator[tuple[str, Callable[[bytes], None]]]:
    """Serve the page on a thread; yield its address and how to publish."""

    async def act(change: dict[str, object]) -> list[str]:
        asked.append(change)
        return [f"done {len(asked)}"]

    page, policy = live_page()
    server = LiveServer(page, policy, act=act)
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(server.listening("127.0.0.1", 0)) as where,
    ):
        yield where, lambda state: portal.call(server.publish, state)


@pytest.mark.browser
def test_the_page_in_a_browser() -> None:
    """It shows states as they come, as text; changes are sent; a token is needed; nothing is complained about."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no chromium on this machine")
    asked: list[dict[str, object]] = []
    with served(asked) as (where, publish), playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        complaints: list[str] = []
        requests: list[str] = []
        page = browser.new_page()
        page.on("console", lambda one: complaints.append(one.text))
        page.on("pageerror", lambda one: complaints.append(str(one)))
        page.on("request", lambda one: requests.append(one.url))
        publish(json.dumps(STATE).encode())
        page.goto(where)
        expect = playwright.expect
        expect(page.locator("#headline")).to_have_text("Running: 40,000 of 100,000 files", timeout=60_000)
        assert "#" not in page.url
        assert page.locator("#uploads tbody tr").count() == 64
        assert page.locator("#failures tbody tr").count() == 50
        assert page.locator("main img").count() == 0
        publish(json.dumps({**STATE, "phase": "ended", "good": True, "files_text": "all"}).encode())
        expect(page.locator("#headline")).to_have_text("all", timeout=60_000)
        page.keyboard.press("Tab")
        page.click("#pause")
        expect(page.locator("#answer")).to_have_text("done 1", timeout=60_000)
        page.fill("[name=bandwidth]", "5MB/s")
        page.press("[name=bandwidth]", "Enter")
        expect(page.locator("#answer")).to_have_text("done 2", timeout=60_000)
        stranger = browser.new_context().new_page()
        stranger.goto(where.partition("#")[0] + "#wrong")
        expect(stranger.locator("#headline")).to_have_text("Not connected", timeout=60_000)
        browser.close()
    assert complaints == []
    assert {one.split("/")[2] for one in requests} == {where.split("/")[2]}
    assert asked == [{"paused": True}, {"bandwidth": "5MB/s"}]
