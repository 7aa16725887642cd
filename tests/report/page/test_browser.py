"""The page in a real browser. Needs Chromium and the extra `browser`; skips with the reason where they are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bulk_upload.core.model import EntryState
from bulk_upload.core.report.export import ExportRow
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.report.page.figures import figures_of
from bulk_upload.report.page.page import JobHeading, causes_of, write_page
from tests.report.page.pages import COLOURS_OF_TEXT, Watched, unreadable
from tests.report.told_ledger import tell_ledger

pytestmark = pytest.mark.browser

ROW_COUNT = 100_000
AT = "2026-06-18T09:30:00.000000Z"


@pytest.fixture(scope="module")
def big_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with `ROW_COUNT` receipts and the failures and charts of a small ledger."""
    folder = tmp_path_factory.mktemp("page")
    told = tell_ledger(str(folder / "m.ledger.db"), 2000)
    receipts = (
        ExportRow(
            path=f"shards/{number // 1000:04d}/conversation-{number:07d}.jsonl", purpose="fine-tune", status="accepted",
            file_id=f"file-{number * 7919:012x}", bytes=number, sha256=f"{number:064x}", sent_name=f"conversation-{number:07d}.jsonl",
            attempts=1, http_status=200, settled_utc=AT,
        )
        for number in range(ROW_COUNT)
    )  # fmt: skip
    with LedgerReader(str(folder / "m.ledger.db")) as reader, (folder / "page.html").open("wb") as stream:
        others = [row for row in reader.rows() if row.status != "accepted"]
        others.append(
            ExportRow("<img src=x onerror=alert(1)>", "p", "rejected", reason="<script>alert(1)</script>")
        )
        states = {
            **{EntryState(one): count for one, count in told.states.items()},
            EntryState.ACCEPTED: ROW_COUNT,
        }
        write_page(
            stream,
            heading=JobHeading(ledger="m.ledger.db", facts=(), made_utc=AT, version="1.0"),
            states=states,
            accepted_bytes=1,
            figures=figures_of(reader.runs(), reader.attempts(), reader.limit_changes()),
            causes=causes_of(others),
            accepted=receipts,
            others=others,
        )
    return folder / "page.html"


class _Opened(Watched):
    """The page once it is ready."""

    def __init__(self, browser: Any, page: Path, **context: Any) -> None:
        super().__init__(browser, **context)
        self.page.goto(page.as_uri())
        self.page.wait_for_selector("html[data-ready]")

    def found(self, table: str) -> str:
        """What the table says about the number of rows, once the search has settled."""
        self.page.wait_for_timeout(150)
        return str(self.page.locator(f"#{table} output").inner_text())


def test_the_page_asks_for_nothing_and_complains_of_nothing(chromium: Any, big_page: Path) -> None:
    """One request, for the file itself; not a word on the console, and nothing from a name is run."""
    opened = _Opened(chromium, big_page)
    opened.page.locator("#others-find").fill("onerror")
    assert opened.found("others").startswith("1 of ")
    opened.page.locator("#others tbody tr[data-at]").click()
    assert opened.page.locator("dialog h2").inner_text() == "<img src=x onerror=alert(1)>"
    assert opened.requests == [big_page.as_uri()]
    assert opened.complaints == []


def test_every_receipt_is_found_among_a_hundred_thousand(chromium: Any, big_page: Path) -> None:
    """By path, by id and by hash; and only the rows in view are in the document."""
    page = (opened := _Opened(chromium, big_page)).page
    assert opened.found("accepted") == "100,000 rows"
    assert page.locator("#accepted tbody tr[data-at]").count() < 100
    for wanted in ("Conversation-0099999 shards", f"file-{99_999 * 7919:012x}", f"{99_999:064x}"):
        page.locator("#accepted-find").fill(wanted)
        assert opened.found("accepted") == "1 of 100,000 rows"
        assert (
            page.locator("#accepted tbody tr[data-at] .path")
            .inner_text()
            .endswith("conversation-0099999.jsonl")
        )
    page.locator("#accepted-find").fill("nowhere at all")
    assert opened.found("accepted") == "0 of 100,000 rows"
    page.locator("#accepted-find").fill("")
    assert opened.found("accepted") == "100,000 rows"


def test_the_table_is_worked_with_the_keyboard(chromium: Any, big_page: Path) -> None:
    """A slash leads to the search; End, arrows and Enter to a row and its details; Escape back to the row."""
    page = (opened := _Opened(chromium, big_page)).page
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "accepted-find"
    page.locator("#accepted tbody tr[data-at='0']").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert page.locator("dialog h2").inner_text() == "shards/0099/conversation-0099998.jsonl"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.at") == "99998"
    assert page.locator("#accepted table").get_attribute("aria-rowcount") == "100001"
    assert opened.complaints == []


def test_sizes_are_sorted_as_numbers(chromium: Any, big_page: Path) -> None:
    """A click on a heading sorts, another one turns the order round, and the heading says so."""
    page = _Opened(chromium, big_page).page
    heading = page.locator("#accepted th.size")
    for order, first in (("ascending", "0 B"), ("descending", "100.0 kB")):
        heading.locator("button").click()
        assert heading.get_attribute("aria-sort") == order
        assert page.locator("#accepted tbody tr[data-at='0'] .size").inner_text() == first


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(chromium: Any, big_page: Path, scheme: str) -> None:
    """At 390 pixels nothing sticks out, in both colour schemes, and the two differ."""
    page = _Opened(chromium, big_page, viewport={"width": 390, "height": 844}, color_scheme=scheme).page
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(252, 252, 250)", "dark": "rgb(20, 21, 23)"}[scheme]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_of_the_page_can_be_read(chromium: Any, big_page: Path, scheme: str) -> None:
    """Each colour of text that is seen stands out 4.5 to 1 from what is behind it."""
    page = _Opened(chromium, big_page, color_scheme=scheme).page
    page.locator("#others .chips button").first.click()
    pairs = page.evaluate(COLOURS_OF_TEXT)
    assert len(pairs) >= 3
    assert unreadable(pairs) == []


def test_on_paper_a_table_is_short_and_says_what_is_missing(chromium: Any, big_page: Path) -> None:
    """A hundred thousand rows are not printed: the first are, and the others counted."""
    page = _Opened(chromium, big_page).page
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#accepted tbody tr[data-at]").count() == 200
    assert page.locator("#accepted tbody tr").last.inner_text() == "and 99,800 more"
