"""Computes the numbers of a report from a ledger's rows: pure, in memory that does not grow with the job."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.limits.controller import chance_words_in
from bulk_upload.core.model import Accepted, InDoubt, NotSent, Throttled
from bulk_upload.core.run.failure_limit import CAUSES_MAX, kind_of
from bulk_upload.core.run.records import OUTCOME_NAMES
from bulk_upload.report.page.distribution import Distribution
from bulk_upload.report.page.timeline import Timeline, WorkAxis

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk_upload.core.report.history import AttemptFacts, ClockStepFacts, LimitChange, RunFacts

BIN_COUNT = 160
LIMIT_CHANGES_KEPT_MAX = 100
CLOCK_STEPS_KEPT_MAX = 20
LEAST_S = 0.001
LEAST_BYTES = 1.0

ACCEPTED, THROTTLED, IN_DOUBT, NOT_SENT = (
    OUTCOME_NAMES[one] for one in (Accepted, Throttled, InDoubt, NotSent)
)
OPEN = "open"
"""The outcome shown for an attempt that has none yet."""

_OTHERS = "other reasons"


class RunFigures(msgspec.Struct):
    """What one run did."""

    facts: RunFacts
    attempt_count: int = 0
    accepted_count: int = 0
    accepted_bytes: int = 0
    retry_count: int = 0


class AgentFigures(msgspec.Struct):
    """What one agent did; its first and last attempt are of the runs `first_run_id` and `last_run_id`."""

    agent: str
    first_run_id: int
    last_run_id: int
    attempt_count: int = 0
    accepted_count: int = 0
    accepted_bytes: int = 0
    in_doubt_count: int = 0


class AttemptCause(msgspec.Struct):
    """Attempts that ended in the same way for the same reason; `reason` is the first one that was met."""

    outcome: str
    http_status: int | None
    reason: str
    count: int = 0


class LimitLine(msgspec.Struct):
    """The in-flight limit over the axis: the last value in each bin, None before the first was recorded."""

    by_bin: list[int | None]
    change_count: int = 0
    kept: list[LimitChange] = msgspec.field(default_factory=list)


class Figures:
    """Aggregates attempts and changes of the limit.

    Of the bytes that attempts sent the ledger has only those of accepted files, so throughput counts what
    the server acknowledged.
    """

    def __init__(self, runs: Iterable[RunFacts]) -> None:
        self.runs = {one.run_id: RunFigures(one) for one in runs}
        spans = [
            (start, end)
            for one in self.runs.values()
            if (start := _utc_s(one.facts.began_utc)) is not None
            and (end := _utc_s(one.facts.over_utc)) is not None
        ]
        self.axis = WorkAxis(spans, BIN_COUNT)
        self.bytes_accepted = Timeline(self.axis)
        self.files_accepted = Timeline(self.axis)
        self.seconds_open = Timeline(self.axis)
        self.throttled = Timeline(self.axis)
        self.latency_s = Distribution(LEAST_S)
        self.sizes = Distribution(LEAST_BYTES)
        self.outcomes: Counter[str] = Counter()
        self.causes: dict[tuple[str, int | None, str], AttemptCause] = {}
        self.limit = LimitLine([None] * BIN_COUNT)
        self.chance_words: dict[int, str | None] = {}
        """What each run said of refusals that did not depend on its load; the last word counts."""
        self.clock_steps: list[ClockStepFacts] = []
        self.agents: dict[str, AgentFigures] = {}
        self._with_agents: set[int] = set()
        """The runs that had any."""
        self.attempt_count = 0
        self.request_count = 0
        self.retry_count = 0

    @property
    def accepted_bytes(self) -> int:
        """Bytes of the files of all accepted attempts."""
        return sum(one.accepted_bytes for one in self.runs.values())

    def add_attempt(self, one: AttemptFacts) -> None:
        """Count one attempt."""
        outcome = one.outcome or OPEN
        is_retry = one.attempt_no > 1
        self.attempt_count += 1
        self.request_count += one.is_request
        self.retry_count += is_retry
        self.outcomes[outcome] += 1
        run = self.runs.get(one.run_id)
        if run is not None:
            run.attempt_count += 1
            run.retry_count += is_retry
        if one.agent is not None:
            self._add_agent(one, one.agent, outcome)
        start, end = _utc_s(one.began_utc or one.intent_utc), _utc_s(one.ended_utc)
        if outcome == ACCEPTED:
            self.sizes.add(one.size)
            if run is not None:
                run.accepted_count += 1
                run.accepted_bytes += one.size
        else:
            self._add_cause(one, outcome)
        if start is not None and end is not None and outcome != NOT_SENT:
            self._add_times(one, outcome, start, end)

    def add_limit(self, change: LimitChange) -> None:
        """Record a change of the limit; changes come in the order they were made."""
        limit = self.limit
        limit.change_count += 1
        self.chance_words[change.run_id] = chance_words_in(change.reason)
        if len(limit.kept) < LIMIT_CHANGES_KEPT_MAX:
            limit.kept.append(change)
        at = _utc_s(change.at_utc)
        if at is not None:
            limit.by_bin[self.axis.bin_of(self.axis.place_s(at))] = change.in_flight_limit

    def limits(self) -> list[int | None]:
        """Return the limit in each bin, carried on until it changes."""
        carried: list[int | None] = []
        for one in self.limit.by_bin:
            carried.append(one if one is not None or not carried else carried[-1])
        return carried

    def itself(self) -> tuple[int, int]:
        """Return how many files, and bytes, the server accepted from runs with agents themselves."""
        runs = [one for run_id, one in self.runs.items() if run_id in self._with_agents]
        agents = self.agents.values()
        return (
            sum(one.accepted_count for one in runs) - sum(one.accepted_count for one in agents),
            sum(one.accepted_bytes for one in runs) - sum(one.accepted_bytes for one in agents),
        )

    def _add_agent(self, one: AttemptFacts, agent: str, outcome: str) -> None:
        found = self.agents.get(agent)
        if found is None:
            found = self.agents[agent] = AgentFigures(agent, one.run_id, one.run_id)
        found.last_run_id = one.run_id
        self._with_agents.add(one.run_id)
        found.attempt_count += 1
        found.in_doubt_count += outcome == IN_DOUBT
        if outcome == ACCEPTED:
            found.accepted_count += 1
            found.accepted_bytes += one.size

    def _add_times(self, one: AttemptFacts, outcome: str, start: float, end: float) -> None:
        start_s, end_s = self.axis.place_s(start), self.axis.place_s(end)
        self.seconds_open.spread(start_s, end_s, max(0.0, end_s - start_s))
        if outcome == ACCEPTED:
            self.latency_s.add(end - start)
            self.bytes_accepted.spread(start_s, end_s, one.size)
            self.files_accepted.spread(end_s, end_s, 1.0)
        elif outcome == THROTTLED:
            self.throttled.spread(end_s, end_s, 1.0)

    def _add_cause(self, one: AttemptFacts, outcome: str) -> None:
        reason = one.reason or ("not ended yet" if outcome == OPEN else "no reason recorded")
        key = (outcome, one.http_status, kind_of(reason))
        if key not in self.causes and len(self.causes) >= CAUSES_MAX:
            key = (outcome, None, _OTHERS)
            reason = _OTHERS
        cause = self.causes.get(key)
        if cause is None:
            cause = self.causes[key] = AttemptCause(outcome, key[1], reason)
        cause.count += 1


def figures_of(
    runs: Iterable[RunFacts],
    attempts: Iterable[AttemptFacts],
    limit_changes: Iterable[LimitChange],
    clock_steps: Iterable[ClockStepFacts] = (),
) -> Figures:
    """Return the numbers of a whole job, with the first of the times that the clock was set."""
    figures = Figures(runs)
    for attempt in attempts:
        figures.add_attempt(attempt)
    for change in limit_changes:
        figures.add_limit(change)
    figures.clock_steps.extend(islice(clock_steps, CLOCK_STEPS_KEPT_MAX))
    return figures


def _utc_s(text: str | None) -> float | None:
    # Not core.timestamps: these were written by our own ledger, and a million of them are read.
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
