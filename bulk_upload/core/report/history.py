"""The history of runs in a ledger: plain rows, for reports."""

from __future__ import annotations

from typing import NamedTuple


class RunFacts(NamedTuple):
    """One process that worked on the job. `began_utc` and `over_utc` are of its first and last attempt, if any.

    Of its `receipt_count` receipts the closing check compared `checked_count`; None where there was no check.
    """

    run_id: int
    version: str
    started_utc: str
    ended_utc: str | None
    exit_status: int | None
    began_utc: str | None = None
    over_utc: str | None = None
    receipt_count: int | None = None
    checked_count: int | None = None


class AttemptFacts(NamedTuple):
    """One intended request. `outcome` is None while it is open; `size` is of the file, in bytes.

    `began_utc` is when the request began, None where no process recorded it; an intent may be recorded long before,
    since those of small files are recorded a batch ahead. `agent` made the request, None for the process of the run.
    `is_request` unless it is a further file of the same request.
    """

    run_id: int
    attempt_no: int
    size: int
    intent_utc: str
    ended_utc: str | None
    outcome: str | None
    http_status: int | None = None
    reason: str | None = None
    began_utc: str | None = None
    agent: str | None = None
    is_request: bool = True


class AgentFacts(NamedTuple):
    """What one agent sent in one run: `accepted_bytes` are of the files that the server accepted from it.

    Of its attempts `in_doubt_count` had no credible answer, those of a lost agent included.
    """

    agent: str
    attempt_count: int
    accepted_count: int
    accepted_bytes: int
    in_doubt_count: int


class LimitChange(NamedTuple):
    """From `at_utc` on, up to `in_flight_limit` requests could be unanswered."""

    run_id: int
    at_utc: str
    in_flight_limit: int
    reason: str


class ClockStepFacts(NamedTuple):
    """The machine's clock was set by `step_s` seconds, back where negative; `at_utc` is by the new time."""

    run_id: int
    at_utc: str
    step_s: float
