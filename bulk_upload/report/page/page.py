"""A ledger as one self-contained page: no server, no library, no request."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from itertools import chain, islice
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from bulk_upload.core.model import EntryState
from bulk_upload.core.report.tally import EXAMPLES_MAX, Cause
from bulk_upload.core.run.failure_limit import CAUSES_MAX, kind_of
from bulk_upload.report.page.embedded_rows import data_scripts
from bulk_upload.report.page.history_sections import (
    agents_section,
    attempts_section,
    distributions_section,
    limits_section,
    over_time_section,
    runs_section,
)
from bulk_upload.report.page.markup import inert
from bulk_upload.report.page.status_sections import (
    NOT_STARTED,
    causes_section,
    header,
    pending_section,
    rows_section,
    warnings_section,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bulk_upload.core.report.data_warnings import RuleWarnings
    from bulk_upload.core.report.export import ExportRow
    from bulk_upload.report.page.figures import Figures

ROWS_MAX = 200_000
"""Default number of rows of each table in a page: about 40 MB, which a browser still searches without delay."""

OTHER_STATES = (
    EntryState.REJECTED,
    EntryState.FAILED_LOCAL,
    EntryState.INVALID,
    EntryState.WITHDRAWN,
    EntryState.IN_DOUBT,
    EntryState.PENDING,
)
"""In the order of the table: pending entries come last, so that they are cut off first."""


class JobHeading(msgspec.Struct, frozen=True, kw_only=True):
    """The heading of a report. `facts` are shown unchanged, name and value; `made_utc` is when it was made."""

    ledger: str
    facts: tuple[tuple[str, str], ...]
    made_utc: str
    version: str


def causes_of(rows: Iterable[ExportRow]) -> list[Cause]:
    """Return why entries are not accepted, the most frequent first. Reasons that differ in names only are one."""
    causes: dict[tuple[EntryState, str], Cause] = {}
    for row in rows:
        state = EntryState(row.status)
        reason = row.reason or (NOT_STARTED if not row.attempts else "no reason recorded")
        key = (state, kind_of(reason))
        if key not in causes and len(causes) >= CAUSES_MAX:
            reason = "other reasons"
            key = (state, reason)
        cause = causes.setdefault(key, Cause(state, reason))
        cause.entry_count += 1
        cause.varies = cause.varies or cause.reason != reason
        if len(cause.examples) < EXAMPLES_MAX:
            cause.examples.append(row.path)
    return sorted(causes.values(), key=lambda one: (OTHER_STATES.index(one.state), -one.entry_count))


def write_page(
    stream: BinaryIO,
    *,
    heading: JobHeading,
    states: Mapping[EntryState, int],
    accepted_bytes: int,
    figures: Figures,
    causes: Sequence[Cause],
    accepted: Iterable[ExportRow],
    others: Iterable[ExportRow],
    warnings: Sequence[RuleWarnings] = (),
    rows_max: int = ROWS_MAX,
) -> None:
    """Write the page. Rows are read once and not kept; of each table the first `rows_max` are written.

    Args:
        stream: takes UTF-8.
        heading: identifies the job.
        states: how many entries are in each state.
        accepted_bytes: of the files of accepted entries.
        figures: the numbers.
        causes: why entries are not accepted.
        accepted: the rows of accepted entries.
        others: all other rows, in the order of `OTHER_STATES`.
        warnings: about the content of files, by rule.
        rows_max: how many rows of each table the page may have.

    Raises:
        OSError: the stream cannot be written.
    """
    accepted_count = states.get(EntryState.ACCEPTED, 0)
    other_count = sum(states.values()) - accepted_count
    style, script = resource("style.css"), resource("script.js")
    parts: Iterator[str] = chain(
        [
            page_head("Upload report", style, script, skip=("accepted", "receipts")),
            header(
                ledger=heading.ledger,
                facts=heading.facts,
                made_utc=heading.made_utc,
                states=states,
                accepted_bytes=accepted_bytes,
                figures=figures,
            ),
            "<main>\n",
            causes_section(causes),
            pending_section(causes),
            warnings_section(warnings),
            rows_section(
                "others",
                "Entries that are not accepted",
                other_count,
                rows_max,
                states={one: states.get(one, 0) for one in OTHER_STATES},
            ),
            over_time_section(figures),
            distributions_section(figures),
            attempts_section(figures),
            rows_section("accepted", "Receipts", accepted_count, rows_max),
            limits_section(figures),
            agents_section(figures),
            runs_section(figures),
            _foot(heading),
        ],
        data_scripts("others", islice(others, rows_max)),
        data_scripts("accepted", islice(accepted, rows_max)),
        [f"<script>{script}</script>\n</body>\n</html>\n"],
    )
    stream.writelines(part.encode("utf-8") for part in parts)


def page_head(title: str, style: str, script: str = "", *, skip: tuple[str, str]) -> str:
    """Return the start of a page that loads nothing. `skip` is a part of it, and what that is called."""
    part, words = skip
    allowed = _hash(script) if script else "'none'"
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src {_hash(style)}; script-src {allowed}"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f'<title>{inert(title)}</title>\n<link rel="icon" href="data:,">\n'
        f'<style>{style}</style>\n</head>\n<body>\n<a class="skip" href="#{part}">Skip to the {words}</a>\n'
    )


def _foot(heading: JobHeading) -> str:
    return (
        f"</main>\n<footer><p>Generated {inert(heading.made_utc)} by bulk-upload {inert(heading.version)} from "
        f"<code>{inert(heading.ledger)}</code>. The page has all of its data and loads nothing. Where the start of "
        "an attempt was not recorded, the time of its intent is used, which may be earlier.</p></footer>\n"
        '<dialog aria-labelledby="detail"><button type="button">Close</button><h2 id="detail"></h2>'
        '<dl class="facts"></dl></dialog>\n'
    )


def _hash(text: str) -> str:
    """Return the source expression that allows exactly this inline element (CSP level 3, section 2.3.1)."""
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def resource(name: str) -> str:
    """Return a part of a page that is a file of this package."""
    return resources.files("bulk_upload.report.page").joinpath(name).read_text("utf-8")
