"""Whether answers are about one file or about the whole run: the key, the address."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.api.responses import MISSING_ID, NUMBER_ID
from bulk_upload.core.model import (
    Accepted,
    Altered,
    InDoubt,
    Misdirected,
    Outcome,
    Refused,
    Rejected,
    Unavailable,
)
from bulk_upload.exit_status import ExitStatus

IN_A_ROW_MAX = 3
_ADDRESS_STATUSES = frozenset({404, 405})


RERUN_HINT = "run the same command again to resume"
"""The hint of a stop that needs no more."""


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run ends early, the resulting verdict, and what a person should do next."""

    status: ExitStatus
    reason: str
    hint: str


class Judgement(msgspec.Struct, frozen=True):
    """The outcome to record, and the resulting stop of the run, if any.

    `reopen` names entries that were settled as rejected before it was clear that the run was at fault.
    """

    outcome: Outcome
    stop: Stop | None = None
    reopen: tuple[int, ...] = ()


class FaultScope:
    """Judges single refusals by the run's earlier outcomes.

    A 403 after successes with the same key is the file's (a gateway may dislike its content); a 403 before any
    success, or on three entries in a row, is the key's. 404 and 405 are the file's unless nothing was
    accepted in this run and three entries in a row got them: then the address is wrong.

    A success whose id is of a kind that cannot be used is no fault of the file either. Before any file was accepted, one
    that is a number is enough to know that all of them are; one that is missing or of another kind is enough on three
    entries in a row.

    Args:
        entry_count: how many entries the run has to send. If there are fewer than three, all of them
            must agree.
        address_known: a file was accepted at this address in an earlier run: a 404 of fewer than three is the file's.
        key_variable: names the environment variable that may hold the key, for hints; None where there is none.
    """

    def __init__(
        self,
        *,
        entry_count: int = IN_A_ROW_MAX,
        address_known: bool = False,
        key_variable: str | None = FLOW.key_variable,
    ) -> None:
        self._key_variable = key_variable
        self._unreachable_max = max(1, min(IN_A_ROW_MAX, entry_count))
        self._astray_max = IN_A_ROW_MAX if address_known else self._unreachable_max
        self._accepted_any = False
        self._forbidden: list[int] = []
        self._astray: list[int] = []
        self._without_id: list[int] = []
        self._unproven_count = 0
        self._unreachable_count = 0
        self.answered_any = False
        """Whether there was any HTTP answer in this run."""

    def on_accepted(self) -> None:
        """Record that the server accepted a file with this key at this address."""
        self._accepted_any = True
        self._forbidden.clear()
        self._astray.clear()
        self._without_id.clear()
        self._unproven_count = 0

    def on_answered(self) -> None:
        """Record that there was an HTTP answer of any kind."""
        self._unreachable_count = 0
        self.answered_any = True

    def on_unreachable(self, reason: str) -> Stop | None:
        """Record that an entry used up its attempts without an answer; return the resulting stop, if any."""
        self._unreachable_count += 1
        if self._unreachable_count < self._unreachable_max:
            return None
        return _unreachable(reason, "check --base-url and the network, then run the same command again")

    def on_unproven(self, altered: Altered) -> Stop | None:
        """Record that an entry stays in doubt because the server changes what is sent; return the resulting stop, if
        any."""
        self._unproven_count += 1
        if self._unproven_count < IN_A_ROW_MAX:
            return None
        return Stop(
            status=ExitStatus.UNFINISHED,
            reason=f"the server changes what it is sent, and nothing proves whose its files are: {altered}",
            hint="compare a few files with what the server has; a server that changes names needs a profile with "
            "keeps-names = false, one that changes purposes the purpose it knows",
        )

    def judge(self, outcome: Outcome, entry: int) -> Judgement:
        """Return what an outcome means, given the outcomes before it."""
        if type(outcome) is Accepted:
            return Judgement(outcome)
        match outcome:
            case Unavailable(remedy=str()) if self.answered_any:
                # The address may lead to several servers: the next attempt may reach another.
                return Judgement(replace(outcome, remedy=None))
            case Unavailable(remedy=str() as remedy):
                return Judgement(outcome, _unreachable(outcome.reason, remedy))
            case Misdirected():
                return Judgement(outcome, _redirected(outcome))
            case Refused(remedy=str() as remedy):
                return Judgement(outcome, _at_limit(outcome, remedy))
            case Refused(http_status=403) if self._accepted_any:
                return self._forbidden_again(outcome, entry)
            case Refused():
                return Judgement(outcome, self._key_refused(outcome))
            case Rejected(http_status=status) if status in _ADDRESS_STATUSES and not self._accepted_any:
                return self._astray_again(outcome, entry)
            case InDoubt(id_kind=str() as kind):
                return self._without_id_again(outcome, entry, kind)
        return Judgement(outcome)

    def _without_id_again(self, outcome: InDoubt, entry: int, kind: str) -> Judgement:
        if entry not in self._without_id:
            self._without_id.append(entry)
        if self._accepted_any or (kind != NUMBER_ID and len(self._without_id) < IN_A_ROW_MAX):
            return Judgement(outcome)
        what = "the answers have none" if kind == MISSING_ID else f"the answer's is {kind}"
        stop = Stop(
            status=ExitStatus.UNFINISHED,
            reason=f"the server's file ids are of a kind that cannot be used: {what}",
            hint="what was sent is in doubt and is not sent again; see the API's documentation, a profile's `id-field` "
            "says where an answer has the id, which must be a string",
        )
        return Judgement(outcome, stop)

    def _forbidden_again(self, outcome: Refused, entry: int) -> Judgement:
        if entry not in self._forbidden:
            self._forbidden.append(entry)
        if len(self._forbidden) >= IN_A_ROW_MAX:
            return Judgement(outcome, self._key_refused(outcome), self._others(self._forbidden, entry))
        return Judgement(
            Rejected(
                http_status=outcome.http_status,
                reason=f"{outcome.reason} (other files are accepted with this key)",
                request_id=outcome.request_id,
            )
        )

    def _astray_again(self, outcome: Rejected, entry: int) -> Judgement:
        if entry not in self._astray:
            self._astray.append(entry)
        if len(self._astray) < self._astray_max:
            return Judgement(outcome)
        stop = Stop(
            status=ExitStatus.UNFINISHED,
            reason=f"the server answers {outcome.reason} to every upload",
            hint="check --base-url: it is the address without the path, such as https://flow.seekr.com",
        )
        # No longer the file's fault: the entry stays pending, like those that are reopened.
        refused = Refused(
            http_status=outcome.http_status, reason=outcome.reason, request_id=outcome.request_id
        )
        return Judgement(refused, stop, self._others(self._astray, entry))

    def _key_refused(self, outcome: Refused) -> Stop:
        sources = f"{self._key_variable or '--api-key-command'} or --api-key-file"
        return Stop(
            status=ExitStatus.CREDENTIALS_REFUSED,
            reason=f"the server refused the API key: {outcome.reason}",
            hint=f"check {sources} (and --team); nothing was lost, run again with a valid key",
        )

    @staticmethod
    def _others(streak: list[int], entry: int) -> tuple[int, ...]:
        return tuple(one for one in streak if one != entry)


def _unreachable(reason: str, hint: str) -> Stop:
    return Stop(status=ExitStatus.UNFINISHED, reason=f"the server cannot be reached: {reason}", hint=hint)


def _at_limit(outcome: Refused, remedy: str) -> Stop:
    return Stop(
        status=ExitStatus.UNFINISHED,
        reason=f"the server takes no more from this account: {outcome.reason}",
        hint=remedy,
    )


def _redirected(outcome: Misdirected) -> Stop:
    return Stop(
        status=ExitStatus.UNFINISHED,
        reason=f"the server redirects uploads to {outcome.location_host} (HTTP {outcome.http_status})",
        hint="uploads are never redirected; if you trust that address, pass it as --base-url",
    )
