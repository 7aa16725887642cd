"""How a run behaves, as set by the person; units are in the names."""

from __future__ import annotations

from enum import StrEnum

import msgspec

# ruff: noqa: TC001 - `help` and `inspect.signature` evaluate the annotations of a Struct.
from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.doubt.content import COMPARE_MAX_BYTES
from bulk_upload.core.limits.caps import Caps
from bulk_upload.core.limits.timetable import Timetable
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.retry import RetryPolicy
from bulk_upload.core.validation.rules import ALL_RULES, RuleChoice


class InDoubtPolicy(StrEnum):
    """What happens to an entry whose answer was lost.

    `reconcile` asks the server's list and leaves in doubt what it does not show; `hold` leaves everything in
    doubt; `resend` reconciles too, and sends again what stays undecided, accepting duplicates.
    """

    RECONCILE = "reconcile"
    HOLD = "hold"
    RESEND = "resend"


class ValidateMode(StrEnum):
    """When files are validated: each just before its upload, all of them ahead of the uploads, or never."""

    EACH = "each"
    AHEAD = "ahead"
    OFF = "off"


class ConfirmMode(StrEnum):
    """Whether a run compares its receipts with the server's list before it ends."""

    LIST = "list"
    OFF = "off"


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one run. `None` means no limit.

    Args:
        concurrency: uploads in flight; None lets the run find the number.
        concurrency_max: never more in flight than this.
        rate_per_s: uploads started per second, on average and nearly so at any moment.
        bandwidth: bytes of request bodies per second, by the time of day.
        retry_policy: backoff and attempts.
        patience_s: how long the run may be throttled without an accepted file.
        deadline_s: when the run drains, counted from its start.
        errors_max: how many entries may fail for one cause before the run drains; `errors_share` the same as a
            share of the entries to send. Without either see `failure_limit.FailureLimit`.
        in_doubt: see InDoubtPolicy.
        settle_s: how long after a lost answer the server's list must not show the file before absence is believed;
            `settle_answered_s` the same for an answered 5xx. Only the entry itself waits for it, and a list
            that lags longer causes a second copy.
        compare_max_bytes: a listed file up to this size is read back whole before it is adopted, a larger one by ranges
            of as many bytes in all.
        retry: settled states to try again.
        retry_renamed: send accepted entries again that the manifest asks for under another name.
        retry_missing: send accepted entries again whose files `verify` found gone from the server.
        looks_first: look in the server's list, before the first upload, for files that a lost or copied ledger sent.
        hashing: what the hashes in receipts are made with, None for no hashes.
        parked_max: how many entries may wait without a slot before no new one starts.
        validate: when files are validated.
        rules: the rules of validation that apply.
        sends_invalid: send files with errors all the same.
        bundle: how many small files may go in one request; None sends each by itself.
        confirm: whether the receipts of the run are compared with the server's list at its end.
    """

    concurrency: int | None = None
    concurrency_max: int | None = None
    rate_per_s: float | None = None
    bandwidth: Timetable | None = None
    retry_policy: RetryPolicy = msgspec.field(default_factory=RetryPolicy)
    patience_s: float = 900.0
    deadline_s: float | None = None
    errors_max: int | None = None
    errors_share: float | None = None
    in_doubt: InDoubtPolicy = InDoubtPolicy.RECONCILE
    settle_s: float = 30.0
    settle_answered_s: float = 10.0
    compare_max_bytes: int = COMPARE_MAX_BYTES
    retry: frozenset[EntryState] = frozenset()
    retry_renamed: bool = False
    retry_missing: bool = False
    looks_first: bool = True
    hashing: HashFunction | None = HashFunction.SHA256
    parked_max: int = 1000
    validate: ValidateMode = ValidateMode.AHEAD
    rules: RuleChoice = ALL_RULES
    sends_invalid: bool = False
    bundle: int | None = None
    confirm: ConfirmMode = ConfirmMode.LIST

    @property
    def caps(self) -> Caps:
        """The limits that a person may change during the run."""
        return Caps(
            concurrency=self.concurrency,
            concurrency_max=self.concurrency_max,
            starts_per_s=self.rate_per_s,
            bandwidth=self.bandwidth,
        )

    def settles_after_s(self, *, answered: bool) -> float:
        """Return how long after the end of an attempt absence may be believed."""
        return min(self.settle_answered_s, self.settle_s) if answered else self.settle_s

    def errors_limit(self, to_send_count: int) -> float | None:
        """Return how many entries that failed for one cause end the run, None where the person set no limit."""
        limits = []
        if self.errors_max is not None:
            limits.append(float(self.errors_max))
        if self.errors_share is not None:
            limits.append(self.errors_share * to_send_count)
        return min(limits, default=None)
