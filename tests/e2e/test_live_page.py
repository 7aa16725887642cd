"""`run --serve --control` and its page in a real browser. Skips with the reason where there is none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stage import staged
from tests.e2e.trees import plain_tree
from tests.e2e.witness import assert_all_accepted, uploads_of
from tests.report.page.conftest import chromium as chromium  # noqa: PLC0414 - a fixture
from tests.report.page.pages import Watched

COUNT = 30


@pytest.mark.browser
def test_a_run_is_paused_and_resumed_from_its_page(tmp_path: Path, chromium: Any) -> None:
    """The page shows the run, stops and continues it, and then how it ended; the ledger has who changed what."""
    with staged(tmp_path) as stage:
        tree = plain_tree(tmp_path / "tree", count=COUNT, size=1000)
        stage.use(tree)
        # It cannot end before the page lets it.
        process = stage.start_run("--serve", "--control", "--rate", "1/min")
        process.until(lambda: "live page: " in process.stderr, "the address of the page", timeout_s=60)
        where = re.findall(r"live page: (\S+)", process.stderr)[0]
        watched = Watched(chromium)
        page = watched.page
        page.goto(where)
        watched.waits_for("#headline", re.compile("^Running: "))
        page.locator("#pause").click()
        watched.waits_for("#answer", "paused")
        watched.waits_for("#pause", "Resume")
        watched.waits_for("#headline", re.compile("^Paused: "))
        watched.waits_for("#numbers div:nth-child(4)", re.compile(r"^In flight\s*0\s*of"))
        sent = len(uploads_of(stage))
        assert sent < COUNT
        page.locator("[name=bandwidth]").fill("fast")
        page.locator("[name=bandwidth]").press("Enter")
        watched.waits_for("#answer", re.compile("'fast' is not a bandwidth"))
        assert len(uploads_of(stage)) == sent
        page.locator("#pause").click()
        watched.waits_for("#answer", "resumed")
        page.locator("[name=bandwidth]").fill("")
        page.locator("[name=rate]").fill("off")
        page.locator("[name=rate]").press("Enter")
        ended = process.wait()
        assert ended.code == 0, ended.stderr
        watched.waits_for("#headline", f"Ended: {COUNT} of {COUNT} files accepted")
        assert page.locator("#why").inner_text() == "Exit code 0: every entry of the job is accepted."
        assert not page.locator("#control").is_visible()
        assert "control: paused, by " in ended.stderr
        assert_all_accepted(stage, tree)
    # A browser reports that the page's server ended with the run.
    assert [one for one in watched.complaints if "net::ERR_" not in one] == []
