"""The numbers of a run as a Prometheus textfile, for unattended jobs."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.model import EntryState
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.output import replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk_upload.core.events import Snapshot
    from bulk_upload.core.report.tally import Tally

METRICS_EVERY_S = 30.0

LAST_SUCCESS = "bulk_upload_last_success_timestamp_seconds"
_LAST_SUCCESS_LINE = re.compile(rf"^{LAST_SUCCESS}(?:\{{.*\}})? ([0-9.e+]+)$", re.MULTILINE)


class RunNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a metrics file at one moment.

    `states` counts the entries of the ledger, None where it cannot be read now; `exit_code` is None during the
    run; `last_success_utc_s` is None where no run has succeeded yet.
    """

    version: str
    ledger: str
    tally: Tally
    snapshot: Snapshot
    states: Mapping[EntryState, int] | None
    started_utc_s: float
    duration_s: float
    exit_code: int | None
    last_success_utc_s: float | None


class Metric(msgspec.Struct, frozen=True):
    """One metric: its name with the unit, its Prometheus type, its help text, and how to read it.

    `read` gives values by further labels; an empty mapping leaves the metric out.
    """

    name: str
    kind: str
    meaning: str
    read: Callable[[RunNumbers], Mapping[tuple[tuple[str, str], ...], float]]


def _one(value: float | None) -> dict[tuple[tuple[str, str], ...], float]:
    return {} if value is None else {(): value}


METRICS = (
    Metric("bulk_upload_info", "gauge", "Always 1; the label `version` is the version of bulk-upload.", lambda now: {(("version", now.version),): 1}),
    Metric("bulk_upload_run_start_timestamp_seconds", "gauge", "When the run started, in seconds since 1970.", lambda now: _one(now.started_utc_s)),
    Metric("bulk_upload_run_duration_seconds", "gauge", "Duration of the run, so far or in total.", lambda now: _one(now.duration_s)),
    Metric("bulk_upload_run_in_progress", "gauge", "1 during the run, 0 after it.", lambda now: _one(float(now.exit_code is None))),
    Metric("bulk_upload_exit_code", "gauge", "The exit code; absent during the run.", lambda now: _one(now.exit_code)),
    Metric(LAST_SUCCESS, "gauge", "When a run last ended with exit code 0, in seconds since 1970; kept in this file from run to run.", lambda now: _one(now.last_success_utc_s)),
    Metric("bulk_upload_entries", "gauge", "Entries of the manifest by `state` in the ledger; absent while there is no ledger.", lambda now: {(("state", state.value),): now.states.get(state, 0) for state in EntryState} if now.states is not None else {}),
    Metric("bulk_upload_planned_entries", "gauge", "Entries in the manifest.", lambda now: _one(now.tally.entry_count)),
    Metric("bulk_upload_planned_bytes", "gauge", "Bytes of the files in the manifest, without blocked entries.", lambda now: _one(now.tally.total_bytes)),
    Metric("bulk_upload_files_total", "counter", "Files that the server accepted in this run.", lambda now: _one(now.tally.count(EntryState.ACCEPTED))),
    Metric("bulk_upload_unchanged_files_total", "counter", "Touched files that this run compared with their receipts and did not send.", lambda now: _one(now.tally.unchanged_count)),
    Metric("bulk_upload_bytes_total", "counter", "Bytes of the files that the server accepted in this run.", lambda now: _one(now.tally.accepted_bytes)),
    Metric("bulk_upload_wire_bytes_total", "counter", "Bytes of all request bodies sent in this run, failed attempts included.", lambda now: _one(now.snapshot.wire_bytes)),
    Metric("bulk_upload_attempts_total", "counter", "Attempts started in this run, one for each file of a request.", lambda now: _one(now.tally.attempt_count)),
    Metric("bulk_upload_requests_total", "counter", "Upload requests started in this run, with one file or several.", lambda now: _one(now.tally.request_count)),
    Metric("bulk_upload_retries_total", "counter", "Attempts of this run that were scheduled for a retry.", lambda now: _one(now.tally.retry_count)),
    Metric("bulk_upload_throttled_total", "counter", "Attempts of this run that the server answered with 429, or with 503 and Retry-After.", lambda now: _one(now.tally.throttled_count)),
    Metric("bulk_upload_lost_answers_total", "counter", "Attempts of this run whose answer was lost.", lambda now: _one(now.tally.lost_answer_count)),
    Metric("bulk_upload_failed_entries", "gauge", "Entries that this run settled as rejected, invalid, failed or withdrawn.", lambda now: _one(now.tally.failed_count)),
    Metric("bulk_upload_in_doubt_entries", "gauge", "Entries in doubt because their answer was lost in this run.", lambda now: _one(now.tally.in_doubt_count)),
    Metric("bulk_upload_in_flight", "gauge", "Requests currently unanswered.", lambda now: _one(now.snapshot.in_flight)),
    Metric("bulk_upload_in_flight_limit", "gauge", "The current in-flight limit.", lambda now: _one(now.snapshot.limit)),
    Metric("bulk_upload_parked_entries", "gauge", "Entries that wait without a slot: for a backoff, for reconciliation, or for a twin.", lambda now: _one(now.snapshot.parked_count)),
    Metric("bulk_upload_pause_seconds", "gauge", "Seconds left of a pause that the server asked for.", lambda now: _one(now.snapshot.pause_s)),
)  # fmt: skip
"""All metrics, in the order of the file and of docs/reference/metrics.md. Counters begin at 0 with every run."""


def metrics_text(now: RunNumbers) -> str:
    """Return the file: https://prometheus.io/docs/instrumenting/exposition_formats/, text format 0.0.4.

    Every sample has the label `ledger`, so that the files of several jobs on a machine can be combined.
    """
    lines = []
    for metric in METRICS:
        samples = metric.read(now)
        if not samples:
            continue
        lines.append(f"# HELP {metric.name} {metric.meaning}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        for labels, value in samples.items():
            told = ",".join(f'{name}="{_escaped(text)}"' for name, text in (("ledger", now.ledger), *labels))
            lines.append(f"{metric.name}{{{told}}} {_number(value)}")
    return "\n".join([*lines, ""])


def save_metrics(path: str, now: RunNumbers, *, private: bool = False) -> None:
    """Write the file whole or not at all, so that a collector never reads half of it. Raises OSError."""
    with replaced(path, private=private) as stream:
        stream.write(metrics_text(now).encode("utf-8"))


def last_success_in(text: str) -> float | None:
    """Return when a run last succeeded, by the metrics file of an earlier run."""
    found = _LAST_SUCCESS_LINE.search(text)
    try:
        return None if found is None else float(found[1])
    except ValueError:
        return None


def _escaped(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(float(value))
