"""What single outcomes mean for the run as a whole: credentials, patience, errors, the retry budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.events import Paused
from bulk_upload.core.model import (
    Accepted,
    EntryState,
    InDoubt,
    NotSent,
    SourceFailed,
    Throttled,
    Unavailable,
)
from bulk_upload.core.run.failure_limit import FailureLimit
from bulk_upload.core.run.fault_scope import FaultScope, Judgement, Stop
from bulk_upload.core.run.patience import Patience
from bulk_upload.core.run.plan import RETRY_WORDS
from bulk_upload.core.run.retry import RetryBudget
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.engine.tasks import innermost
from bulk_upload.errors import LedgerUnusable
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.model import Altered, Outcome
    from bulk_upload.core.run.settings import RunSettings
    from bulk_upload.engine.limits.drain import Drain


class StopRules:
    """Called for every outcome and settled entry; begins the drain when the run should stop."""

    def __init__(
        self,
        settings: RunSettings,
        *,
        to_send_count: int,
        address_known: bool = False,
        clock: Clock,
        drain: Drain,
        emit: Callable[[Event], None],
        key_variable: str | None = FLOW.key_variable,
    ) -> None:
        self._clock = clock
        self._drain = drain
        self._emit = emit
        self._fault_scope = FaultScope(
            entry_count=to_send_count, address_known=address_known, key_variable=key_variable
        )
        self._patience = Patience(settings.patience_s)
        self._failures = FailureLimit(settings.errors_limit(to_send_count))
        self._announced_until = float("-inf")
        self.budget = RetryBudget()

    @property
    def knows_server(self) -> bool:
        """Whether the server answered any upload of this run."""
        return self._fault_scope.answered_any

    def review(self, outcome: Outcome, entry_id: int) -> Judgement:
        """Return what to record for an outcome, given the whole run."""
        judgement = self._fault_scope.judge(outcome, entry_id)
        if type(outcome) is Accepted:
            self._fault_scope.on_answered()
            self._fault_scope.on_accepted()
            # That a request could be made, and a file be read, is part of it.
            self._patience.on_success()
            self.budget = self.budget.earn()
            return judgement
        if not isinstance(outcome, NotSent | SourceFailed):
            if outcome.http_status is not None:
                self._fault_scope.on_answered()
                self._patience.on_answer()
            self._patience.on_read()
        if isinstance(outcome, Throttled):
            self._on_throttled(outcome)
        if judgement.stop is not None:
            self._drain.begin(judgement.stop)
        return judgement

    def review_each(self, outcomes: Sequence[Outcome], entry_ids: Sequence[int]) -> list[Judgement]:
        """Return what to record for the outcomes that one answer has for several files.

        Like `review` of each; what an accepted file says of the run, the next one in the same answer does not add to.
        """
        judgements: list[Judgement] = []
        after_accepted = False
        for outcome, entry_id in zip(outcomes, entry_ids, strict=True):
            is_accepted = isinstance(outcome, Accepted)
            if is_accepted and after_accepted:
                self.budget = self.budget.earn()
                judgements.append(Judgement(outcome))
            else:
                judgements.append(self.review(outcome, entry_id))
            after_accepted = is_accepted
        return judgements

    def on_retry(self) -> None:
        """Record that an attempt that counts is made again."""
        self.budget = self.budget.spend()

    def on_resumed(self) -> None:
        """Record that a person's pause is over: its time says nothing about the server."""
        self._patience.on_success()

    def tolerates_probe(self, outcome: Unavailable | InDoubt) -> bool:
        """Record that a probe failed, too; return whether that costs no attempt.

        A server that never answered in this run is more likely a wrong address than down: its entries use up their
        attempts.
        """
        known = self._fault_scope.answered_any
        reason = self._patience.on_outage(self._clock.monotonic(), reason=outcome.reason, answered_ever=known)
        if reason is not None:
            hint = "run the same command again when the server is back"
            if not known:
                hint = "check --base-url and the network, then run the same command again"
            self._drain.begin(Stop(status=ExitStatus.UNFINISHED, reason=reason, hint=hint))
        return known

    def on_short(self, reason: str, *, wire_bytes: int) -> None:
        """Record that an upload could not be made because this machine is short of something.

        `wire_bytes` is what has left in all.
        """
        enough = self._patience.on_short(self._clock.monotonic(), reason=reason, wire_bytes=wire_bytes)
        if enough is not None:
            hint = "raise the limit (`ulimit -n`, `ulimit -u`, a container's) or end other programs, then run again"
            self._drain.begin(Stop(status=ExitStatus.UNFINISHED, reason=enough, hint=hint))

    def on_read(self) -> None:
        """Record that a file could be read."""
        self._patience.on_read()

    def on_unreadable(self, reason: str, *, wire_bytes: int) -> None:
        """Record that a file system failed to read a file. `wire_bytes` is what has left in all."""
        enough = self._patience.on_unreadable(self._clock.monotonic(), reason=reason, wire_bytes=wire_bytes)
        if enough is not None:
            hint = "check the disk, the mount or the store that the files are on, then run the same command again"
            self._drain.begin(Stop(status=ExitStatus.UNFINISHED, reason=enough, hint=hint))

    def on_ledger_failed(self, error: BaseException) -> None:
        """Stop for a ledger that cannot record; what is in flight finishes."""
        self._drain.begin(ledger_stop(error))

    async def unless_ledger_fails(self, work: Awaitable[None]) -> None:
        """Await something, and stop the run where the ledger cannot record; raises whatever else it does."""
        try:
            await work
        except* LedgerUnusable as group:
            self.on_ledger_failed(innermost(group))

    def on_unproven(self, altered: tuple[Altered, ...]) -> None:
        """Record that an entry stays in doubt because its answer contradicts what was sent."""
        stop = self._fault_scope.on_unproven(altered[0])
        if stop is not None:
            self._drain.begin(stop)

    def on_exhausted(self, outcome: Outcome) -> None:
        """Record that an entry used up its attempts with `outcome`."""
        if isinstance(outcome, Unavailable) and not outcome.answered:
            stop = self._fault_scope.on_unreachable(outcome.reason)
            if stop is not None:
                self._drain.begin(stop)

    def on_settled(self, state: EntryState, reason: str | None) -> None:
        """Record that an entry reached a settled state."""
        if state is EntryState.ACCEPTED:
            self._failures.on_accepted()
            return
        enough = self._failures.on_failed(state, reason or "no reason recorded")
        if enough is not None:
            self._drain.begin(
                Stop(
                    status=ExitStatus.UNFINISHED,
                    reason=enough,
                    hint=f"fix that, then run again with --retry {RETRY_WORDS[state]}; "
                    "--max-errors N tolerates more of one cause",
                )
            )

    def _on_throttled(self, outcome: Throttled) -> None:
        now = self._clock.monotonic()
        wait_s = outcome.retry_after_s
        reason = self._patience.on_throttled(now, retry_after_s=wait_s)
        if reason is not None:
            when = "" if wait_s is None else f" after {utc_text(min(self._clock.utc_s() + wait_s, 2**33))}"
            self._drain.begin(
                Stop(status=ExitStatus.UNFINISHED, reason=reason, hint=f"run the same command again{when}")
            )
        elif wait_s is not None and now + wait_s > self._announced_until + 1.0:
            self._announced_until = now + wait_s
            self._emit(Paused(pause_s=wait_s, reason=f"HTTP {outcome.http_status} from the server"))


def ledger_stop(error: BaseException) -> Stop:
    """Return why a run stops whose ledger cannot record."""
    hint = error.hint if isinstance(error, LedgerUnusable) else None
    return Stop(
        status=ExitStatus.LEDGER_UNUSABLE, reason=str(error), hint=hint or "run the same command again"
    )
