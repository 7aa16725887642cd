"""The page itself: nothing in it acts but our own script, and what it leaves out it says."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.limits.controller import chance_words
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.data_warnings import FileWarnings, KeptFinding, warnings_by_rule
from bulk_upload.core.report.export import ExportRow
from bulk_upload.core.report.history import AttemptFacts, ClockStepFacts, LimitChange, RunFacts
from bulk_upload.report.page.charts import timeline_chart
from bulk_upload.report.page.figures import figures_of
from bulk_upload.report.page.history_sections import agents_section
from bulk_upload.report.page.markup import embedded, inert
from bulk_upload.report.page.page import JobHeading, causes_of, write_page
from bulk_upload.report.page.status_sections import warnings_section
from bulk_upload.report.page.timeline import WorkAxis

AT = "2026-06-18T09:30:00.000000Z"
LATER = "2026-06-18T09:30:02.000000Z"
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u2028\u202e\x1b[2J\udcff'\"&"


def _page(
    accepted: list[ExportRow],
    others: list[ExportRow],
    *,
    evil: str = "",
    rows_max: int = 1000,
    reason: str = "growing",
) -> str:
    stream = io.BytesIO()
    runs = [RunFacts(1, "1.0", AT, LATER, 4, AT, LATER, 5_000, 4_200)]
    attempts = [
        AttemptFacts(1, 1, 10, AT, LATER, "accepted"),
        AttemptFacts(1, 2, 9, AT, LATER, "throttled", 429, evil),
    ]
    states = {EntryState.ACCEPTED: len(accepted)}
    for row in others:
        states[EntryState(row.status)] = states.get(EntryState(row.status), 0) + 1
    write_page(
        stream,
        heading=JobHeading(
            ledger=f"a{evil}.ledger.db", facts=(("Root", f"/d{evil}"),), made_utc=AT, version="1.0"
        ),
        states=states,
        accepted_bytes=10,
        figures=figures_of(
            runs, attempts, [LimitChange(1, AT, 8, f"{reason}{evil}")], [ClockStepFacts(1, AT + evil, -20.0)]
        ),
        causes=causes_of(others),
        accepted=iter(accepted),
        others=iter(others),
        rows_max=rows_max,
    )
    return stream.getvalue().decode("utf-8")


def _row(path: str, status: str = "accepted", **more: Any) -> ExportRow:
    return ExportRow(path=path, purpose="fine-tune", status=status, **more)


def test_a_run_shows_how_many_receipts_it_checked() -> None:
    """Of how many, where it did not check all of them."""
    assert "4,200 of 5,000" in _page([_row("a")], [])


def _section(text: str, title: str) -> str:
    """A section of the page, or nothing."""
    return text.partition(f"<h2>{title}</h2>")[2].partition("</section>")[0]


def test_only_what_needs_a_person_needs_attention() -> None:
    """A pending entry is done by the next run; where nothing else is left, the section is not there."""
    pending = [
        _row("p", "pending", reason="HTTP 503: upstream connect error", attempts=3),
        _row("q", "pending"),
    ]
    both = _page([_row("a")], [_row("r", "rejected", reason="HTTP 400"), *pending])
    assert "rejected by the server" in _section(both, "Needs attention")
    assert "pending" not in _section(both, "Needs attention")
    assert "2 entries. The same <code>bulk-upload run</code>" in _section(both, "Still to do")
    assert "HTTP 503: upstream connect error" in _section(both, "Still to do")
    only = _page([_row("a")], pending[1:])
    assert _section(only, "Needs attention") == ""
    assert "1 entry." in _section(only, "Still to do")
    assert "<table" not in _section(only, "Still to do")


def test_data_warnings_are_shown_by_rule() -> None:
    """How many files and how many times, the first one with its remedy, and where."""
    twice = KeptFinding(
        "duplicate-line", "warning", "the line is the same as line 1", 2, "remove one of them"
    )
    files = [
        FileWarnings("a.jsonl", 2, (twice, twice)),
        FileWarnings(f"b{EVIL}.jsonl", 1, (twice, KeptFinding("bad-json", "error", "x"))),
        FileWarnings("c.jsonl", 1, (KeptFinding("long-line", "warning", EVIL),)),
    ]
    rules = warnings_by_rule(files)
    assert [(one.rule, one.file_count, one.count) for one in rules] == [
        ("duplicate-line", 2, 3),
        ("long-line", 1, 1),
    ]
    assert rules[0].examples == ["a.jsonl, line 2", f"b{EVIL}.jsonl, line 2"]
    text = warnings_section(rules)
    for words in (
        "duplicate-line",
        "the line is the same as line 1",
        "remove one of them",
        "a.jsonl, line 2",
    ):
        assert words in text
    assert "<script>" not in text
    assert warnings_section([]) == ""


def test_a_state_has_one_colour_everywhere() -> None:
    """In the bar, the legend, the causes, the filters and the tables: each its own, in light, dark and print."""
    style = resources.files("bulk_upload.report.page").joinpath("style.css").read_text("utf-8")
    fills = dict(re.findall(r"\.state-(\w+) { fill: (var\([\w-]+\)); }", style))
    tags = dict(re.findall(r"td\.tag-(\w+)::before { background: (var\([\w-]+\)); }", style))
    assert set(fills) == {state.value for state in EntryState}
    assert len(set(fills.values())) == len(fills)
    assert tags == {state: colour for state, colour in fills.items() if state != "pending"}
    text = _page([_row("a")], [_row("b", "invalid", reason="x"), _row("c", "rejected", reason="y")])
    assert text.count('class="state-invalid"') == 4


def test_the_labels_of_a_scale_are_beside_the_plot() -> None:
    """In it they would cross lines; names of runs near each other are left out."""
    axis = WorkAxis([(0.0, 10.0), (20.0, 20.5), (30.0, 40.0)], 20)
    text = timeline_chart(
        "x", "X", "x", axis=axis, values=[1.0] * axis.bin_count, label_of=lambda value: f"{value:g} apples", run_names=["run 1", "run 2", "run 3"],
    )  # fmt: skip
    scale, plot = text.split('<svg class="chart" width="100%"')
    assert scale.count(" apples</text>") == 3
    assert " apples</text>" not in plot
    assert "run 2" in plot
    assert "run 3" not in plot


def test_refusals_by_chance_are_named() -> None:
    """The last word of a run on refusals that do not depend on its load is on the page, and one taken back is not."""
    said = f"8 in flight: growing; {chance_words(0.011)}"
    assert f"Run 1: {chance_words(0.011)}." in _page([_row("a")], [], reason=said)
    assert "whatever our rate" not in _page([_row("a")], [])


class _Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_nothing_from_a_name_or_a_server_becomes_markup() -> None:
    """Paths, reasons, ids, the ledger's name: whatever they hold, the page has the same elements."""

    def elements(evil: str) -> list[str]:
        text = _page(
            [_row(f"a{evil}", file_id=f"f{evil}", sent_name=f"s{evil}", settled_utc=AT)],
            [_row(f"b{evil}", "rejected", reason=f"why{evil}", http_status=400)],
            evil=evil,
        )
        return [tag for tag, _ in _Elements(text).tags]

    assert elements(EVIL) == elements("")
    assert "\u202e" not in _page([_row(EVIL)], [], evil=EVIL)


@given(st.text())
def test_text_stays_text(text: str) -> None:
    """Escaped text has no character that begins or ends anything in HTML; embedded JSON none that ends a script."""
    assert not set(inert(text)) & set("<>\"'")
    assert "<" not in embedded([text.encode("utf-8", "replace").decode()])


@given(st.lists(st.text("ab/\u00fc\U0001f600<", max_size=12), max_size=30))
def test_rows_come_back_as_they_were(paths: list[str]) -> None:
    """What the page packs is unpacked to the same paths, by the rule that its script follows."""
    text = _page([_row(one)._replace(purpose=f"p{number // 2}") for number, one in enumerate(paths)], [])
    rows = [(one["path"], one["purpose"]) for one in unpacked(text, "accepted")]
    assert rows == [(one, f"p{number // 2}") for number, one in enumerate(paths)]


def unpacked(text: str, name: str) -> list[dict[str, Any]]:
    """The rows of a table, read like the page's script reads them."""
    rows = []
    for found in re.findall(
        rf'<script type="application/json" data-rows="{name}">(.*?)</script>', text, re.DOTALL
    ):
        path = purpose = ""
        for cells in json.loads(found):
            path = path[: cells[0]] + cells[1]
            purpose = cells[2] or purpose
            rows.append({"path": path, "purpose": purpose, "state": cells[3]})
    return rows


def test_the_policy_allows_our_style_and_script_and_nothing_else() -> None:
    """Each inline element is allowed by its hash; there is no other source, and no handler or style in an attribute."""
    text = _page([_row("a")], [])
    elements = _Elements(text)
    (policy,) = (one["content"] for tag, one in elements.tags if tag == "meta" and "http-equiv" in one)
    assert policy is not None
    assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:;")
    for name, content in (
        ("style-src", re.findall("<style>(.*?)</style>", text, re.DOTALL)),
        ("script-src", re.findall("<script>(.*?)</script>", text, re.DOTALL)),
    ):
        (inline,) = content
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    attributes = set(chain.from_iterable(one for _, one in elements.tags))
    assert not [
        one for one in attributes if one.startswith("on") or one in ("style", "src", "srcset", "action")
    ]
    assert {one["href"] for _, one in elements.tags if "href" in one} == {"data:,", "#accepted"}


def test_a_table_that_is_cut_off_says_so() -> None:
    """The first rows are there, the others are counted, and the command that has them all is named."""
    text = _page([_row(f"a{n}") for n in range(12)], [], rows_max=5)
    assert len(unpacked(text, "accepted")) == 5
    assert "Truncated: the first 5 of 12 are shown." in text
    assert "Cut off" not in _page([_row(f"a{n}") for n in range(12)], [], rows_max=12)


def test_rows_are_taken_one_portion_at_a_time() -> None:
    """The page never holds all rows: of a table that is cut off no more are read than it shows."""

    def rows() -> Any:
        for number in range(10**9):
            taken.append(number)
            yield _row(str(number))

    taken: list[int] = []
    write_page(
        io.BytesIO(),
        heading=JobHeading(ledger="l", facts=(), made_utc=AT, version="1"),
        states={EntryState.ACCEPTED: 10**9},
        accepted_bytes=1,
        figures=figures_of([], [], []),
        causes=[],
        accepted=rows(),
        others=iter(()),
        rows_max=3,
    )
    assert len(taken) == 3


def test_a_job_without_an_attempt_has_a_page_too() -> None:
    """An empty ledger is said to be empty, and nothing is divided by nothing."""
    stream = io.BytesIO()
    write_page(
        stream, heading=JobHeading(ledger="l", facts=(), made_utc=AT, version="1"), states={}, accepted_bytes=0,
        figures=figures_of([], [], []), causes=[], accepted=[], others=[],
    )  # fmt: skip
    assert b"The ledger has no entries yet" in stream.getvalue()


def test_every_chart_can_be_read_without_eyes() -> None:
    """Each has a title, a sentence and its numbers as a table; every table has a caption and headings."""
    tags = _Elements(_page([_row("a")], [_row("b", "rejected", reason="no")])).tags
    charts = [one for tag, one in tags if tag == "svg" and one.get("class") == "chart"]
    names = {one["id"] for _, one in tags if "id" in one}
    assert len(charts) == 5
    for one in charts:
        assert one["role"] == "img"
        assert set((one["aria-labelledby"] or "").split()) <= names
    tables = sum(tag == "table" for tag, _ in tags)
    assert tables == sum(tag == "caption" for tag, _ in tags)
    assert all(one.get("scope") for tag, one in tags if tag == "th")


def _contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_its_ground(scheme: str) -> None:
    """Every colour that text has stands out 4.5 to 1 (WCAG 2.2, 1.4.3), and graphics 3 to 1 (1.4.11)."""
    css = (Path(__file__).parents[3] / "bulk_upload/report/page/style.css").read_text("utf-8")
    light, dark = css.split("@media (prefers-color-scheme: dark)")[:2]
    colours = dict(
        re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})\b", light if scheme == "light" else dark.split("\n}")[0])
    )
    for ground in ("paper", "raised"):
        for text in ("ink", "soft", "accent", "accepted", "failed"):
            assert _contrast(colours[text], colours[ground]) >= 4.5, text
        for shape in ("pending", "in-doubt", "failed-2", "failed-3", "limit"):
            assert _contrast(colours[shape], colours[ground]) >= 3, shape


def test_a_clock_that_was_set_is_said() -> None:
    """Times in the charts before and after the step do not compare."""
    page = _page([_row("a")], [])
    assert "Run 1, 2026-06-18 09:30:00 UTC: this machine&#x27;s clock was set back by 20 s." in page


def test_the_agents_of_a_job_are_listed_by_what_they_sent() -> None:
    """With the runs that they were in, and how many answers were lost with them; a name is text, whatever it holds."""
    attempts = [
        AttemptFacts(1, 1, 10, AT, LATER, "accepted", agent="n1:7"),
        AttemptFacts(1, 1, 90, AT, LATER, "accepted", agent="n2<b>:8"),
        AttemptFacts(2, 1, 10, AT, LATER, "in_doubt", agent="n1:7"),
        AttemptFacts(2, 1, 10, AT, LATER, "accepted"),
    ]
    runs = [RunFacts(number, "1.0", AT, LATER, 0, AT, LATER) for number in (1, 2)]
    section = agents_section(figures_of(runs, attempts, []))
    rows = re.findall(r"<tr>.*?</tr>", section, re.DOTALL)[1:]
    cells = [re.sub(r"<[^>]+>", " ", row).split() for row in rows]
    assert cells == [
        ["n2&lt;b&gt;:8", "1", "1", "1", "90", "B", "0"],
        ["n1:7", "1", "to", "2", "2", "1", "10", "B", "1"],
    ]


def test_the_page_says_what_runs_with_agents_sent_themselves() -> None:
    """Not what runs without agents did."""
    runs = [RunFacts(number, "1.0", AT, LATER, 0, AT, LATER) for number in (1, 2)]
    attempts = [
        AttemptFacts(1, 1, 10, AT, LATER, "accepted", agent="n1:7"),
        AttemptFacts(1, 1, 40, AT, LATER, "accepted"),
        AttemptFacts(1, 1, 60, AT, LATER, "accepted"),
        AttemptFacts(2, 1, 90, AT, LATER, "accepted"),
    ]
    assert "themselves sent 2 files (100 B)" in agents_section(figures_of(runs, attempts, []))


def test_a_job_without_agents_has_no_word_about_them() -> None:
    """The page is what it was."""
    assert _section(_page([_row("a")], []), "Agents") == ""
