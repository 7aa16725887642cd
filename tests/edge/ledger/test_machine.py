"""The store against a model of plain dictionaries, in whatever order things happen.

Long version: pytest -m soak tests/edge/ledger/test_machine.py
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bulk_upload.core.model import (
    EntryState,
    InDoubt,
    ListedFile,
    Misdirected,
    NotSent,
    Outcome,
    Refused,
    Rejected,
    SourceFailed,
    Throttled,
    Unavailable,
)
from bulk_upload.core.run.reconcile import Doubt
from bulk_upload.core.run.records import AttemptEnd, state_after
from bulk_upload.edge.ledger.file.identity import claim
from bulk_upload.edge.ledger.file.opening import open_for_writing
from bulk_upload.edge.ledger.reading.receipts import receipt_of
from tests.edge.ledger.stage import (
    JOB,
    PRINT,
    START_S,
    Store,
    accepted,
    attempt_over,
    entry,
    exported,
    intent,
)

PATHS = st.sampled_from(["a", "b", "dir/c", "\udcff", "\ud800"])
IDS = st.sampled_from([f"id-{number}" for number in range(6)])
OUTCOMES: st.SearchStrategy[Outcome] = st.one_of(
    IDS.map(accepted),
    IDS.map(accepted),
    st.sampled_from(
        [
            Rejected(http_status=400, reason="bad"),
            Refused(http_status=401, reason="key"),
            Misdirected(http_status=302, location_host="x"),
            Throttled(http_status=429, retry_after_s=None),
            Unavailable(reason="refused"),
            InDoubt(reason="lost", answered=False),
            InDoubt(reason="\ud800", answered=True, http_status=500, candidate_id="\udcff"),
            SourceFailed(reason="changed"),
            NotSent(reason="drained"),
        ]
    ),
)


@dataclass
class Known:
    """The model of one entry."""

    entry_id: int
    state: EntryState = EntryState.PENDING
    attempts: int = 0
    receipt: str | None = None
    receipts: list[str] = field(default_factory=list)
    open_attempt: int | None = None
    doubt: int | None = None


class LedgerMachine(RuleBasedStateMachine):
    """What happens to a ledger, and what must then be true of it."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.path = os.path.join(self.folder, "a")
        self.known: dict[str, Known] = {}
        self.now = START_S
        self.open()

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.store.connection.close()
            shutil.rmtree(self.folder)

    def open(self) -> None:
        self.store = Store(open_for_writing(self.path))
        claim(self.store.connection, JOB, moved_root=False, utc_s=self.now)
        self.store.begin_run(version="1.0", utc_s=self.now)
        for one in self.known.values():
            if one.open_attempt is not None:
                one.doubt, one.open_attempt = one.open_attempt, None
                one.state, one.attempts = EntryState.IN_DOUBT, one.attempts + 1
        doubtful = {one.entry_id for one in self.known.values() if one.state is EntryState.IN_DOUBT}
        assert {one.entry_id for one in self.doubts()} == doubtful

    def claimed(self) -> dict[str, str]:
        return {file_id: path for path, one in self.known.items() for file_id in one.receipts}

    def open_attempts(self) -> list[Known]:
        return [one for one in self.known.values() if one.open_attempt is not None]

    def doubts(self) -> list[Doubt]:
        return self.store.open_doubts()

    def in_doubt(self, doubt: Doubt) -> Known:
        (one,) = (one for one in self.known.values() if one.entry_id == doubt.entry_id)
        return one

    @rule(path=PATHS)
    def register(self, path: str) -> None:
        (entry_id,) = self.store.known(entry(path), utc_s=self.now)
        assert self.known.setdefault(path, Known(entry_id)).entry_id == entry_id

    @precondition(lambda self: any(self.sendable()))
    @rule(data=st.data())
    def intend(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.sendable()))
        one.open_attempt = self.store.intended(one.entry_id, utc_s=self.now)

    def sendable(self) -> list[Known]:
        return [
            one
            for one in self.known.values()
            if one.open_attempt is None and one.state is not EntryState.IN_DOUBT
        ]

    @precondition(lambda self: self.open_attempts())
    @rule(data=st.data(), outcome=OUTCOMES)
    def conclude(self, data: st.DataObject, outcome: Outcome) -> None:
        one = data.draw(st.sampled_from(self.open_attempts()))
        self.is_concluded(one, outcome, self.store.conclude(self.over(one, outcome)))

    @precondition(lambda self: self.open_attempts())
    @rule(data=st.data(), outcomes=st.lists(OUTCOMES, min_size=5, max_size=5))
    def conclude_together(self, data: st.DataObject, outcomes: list[Outcome]) -> None:
        """All that is under way ends in one commit, in any order."""
        ending = data.draw(st.permutations(self.open_attempts()))
        group = [self.over(one, outcome) for one, outcome in zip(ending, outcomes, strict=False)]
        for one, outcome, recorded in zip(ending, outcomes, self.store.conclude_all(group), strict=False):
            self.is_concluded(one, outcome, recorded)

    def over(self, one: Known, outcome: Outcome) -> AttemptEnd:
        assert one.open_attempt is not None
        return attempt_over(one.open_attempt, one.entry_id, outcome, utc_s=self.now)

    def is_concluded(self, one: Known, outcome: Outcome, recorded: Outcome) -> None:
        """Take into the model what must have become of an attempt."""
        file_id = getattr(outcome, "file_id", None)
        taken = file_id in self.claimed()
        one.state = EntryState.IN_DOUBT if taken else state_after(outcome)
        assert state_after(recorded) is one.state
        one.attempts += 1
        if one.state is EntryState.IN_DOUBT:
            one.doubt = one.open_attempt
        elif file_id is not None:
            one.receipt = file_id
            one.receipts.append(file_id)
        one.open_attempt = None

    @precondition(lambda self: self.open_attempts())
    @rule(data=st.data())
    def mark_not_sent(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.open_attempts()))
        assert one.open_attempt is not None
        self.store.mark_not_sent([one.open_attempt], reason="drained", utc_s=self.now)
        one.open_attempt = None

    @precondition(lambda self: self.doubts())
    @rule(data=st.data(), file_id=IDS)
    def adopt(self, data: st.DataObject, file_id: str) -> None:
        doubt = data.draw(st.sampled_from(self.doubts()))
        one = self.in_doubt(doubt)
        done = self.store.adopt(doubt, ListedFile(file_id=file_id), content_hash=None, utc_s=self.now)
        assert done == (file_id not in self.claimed())
        if done:
            one.state, one.doubt, one.receipt = EntryState.ACCEPTED, None, file_id
            one.receipts.append(file_id)

    @precondition(lambda self: self.doubts())
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        doubt = data.draw(st.sampled_from(self.doubts()))
        one = self.in_doubt(doubt)
        self.store.release(doubt, "absent", utc_s=self.now)
        one.state, one.doubt = EntryState.PENDING, None

    @precondition(lambda self: any(self.sendable()))
    @rule(
        data=st.data(),
        state=st.sampled_from([EntryState.PENDING, EntryState.INVALID, EntryState.FAILED_LOCAL]),
    )
    def settle(self, data: st.DataObject, state: EntryState) -> None:
        one = data.draw(st.sampled_from(self.sendable()))
        self.store.settle(one.entry_id, state, reason="so", utc_s=self.now)
        one.state = state

    @rule(half=st.booleans())
    def crash(self, half: bool) -> None:
        """A process ends in the midst of a commit, or between two; the next run begins."""
        if half and self.sendable():
            self.store.connection.execute("BEGIN")
            self.store.intend([intent(self.sendable()[0].entry_id)])
        self.store.connection.close()
        before = exported(self.path, all_receipts=True)
        self.now += 60
        self.open()
        assert exported(self.path, all_receipts=True) == before

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "store"):
            return
        for one in self.known.values():
            row = self.store.row(one.entry_id)
            assert (row["state"], row["attempt_count"]) == (one.state.value, one.attempts)
            if one.state is EntryState.ACCEPTED:
                assert receipt_of(self.store, one.entry_id).file_id == one.receipt
            if one.attempts:
                assert row["size"] == PRINT.size
        assert {doubt.attempt_id for doubt in self.doubts()} == {
            one.doubt for one in self.known.values() if one.doubt is not None
        }
        assert self.store.claimed([f"id-{number}" for number in range(6)]) == set(self.claimed())

    @invariant()
    def balances(self) -> None:
        if not hasattr(self, "store"):
            return
        rows = exported(self.path, all_receipts=True)
        current = [row for row in rows if row.status != "superseded"]
        assert {row.status for row in current} <= {one.value for one in EntryState}
        assert len(current) == len(self.known)
        assert sorted(row.file_id for row in rows if row.file_id) == sorted(self.claimed())


# The checks of the two invariants read the whole ledger after each step.
_SETTINGS = settings(
    deadline=None, derandomize=True, stateful_step_count=25, suppress_health_check=list(HealthCheck)
)


# Hypothesis makes this class at run time, so it is no type to mypy.
class TestStore(LedgerMachine.TestCase):  # type: ignore[misc, valid-type]
    """Whatever the order of steps, crashes and reopenings, ledger and model agree."""

    settings = settings(_SETTINGS, max_examples=25)


@pytest.mark.soak
@pytest.mark.timeout(3600)
class TestStoreAtLength(LedgerMachine.TestCase):  # type: ignore[misc, valid-type]
    """The same, two thousand times."""

    settings = settings(_SETTINGS, max_examples=2000, stateful_step_count=50, derandomize=False)
