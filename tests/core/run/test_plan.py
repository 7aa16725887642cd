"""What a run does with each entry, before a byte moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.model import EntryState, Fingerprint
from bulk_upload.core.run.plan import KnownEntry, Step, plan_entry, same_content

FILE = Fingerprint(size=10, mtime_ns=1, inode=1)
LATER = replace(FILE, mtime_ns=2)
MOVED = replace(FILE, inode=2)
GROWN = replace(FILE, size=11)
DATED = replace(FILE, ctime_ns=5)
CHANGED = replace(FILE, ctime_ns=6)
HASH = "a" * 64
JUDGED = [EntryState.REJECTED, EntryState.INVALID, EntryState.WITHDRAWN]
FAILED = [EntryState.REJECTED, EntryState.FAILED_LOCAL, EntryState.INVALID, EntryState.WITHDRAWN]


def known(
    state: EntryState,
    fingerprint: Fingerprint | None = FILE,
    sha256: str | None = HASH,
    reason: str | None = None,
) -> KnownEntry:
    """Return the ledger's view of an entry."""
    return KnownEntry(entry_id=1, state=state, fingerprint=fingerprint, content_hash=sha256, reason=reason)


@pytest.mark.parametrize(
    ("state", "then", "now", "step"),
    [
        (None, None, FILE, Step.SEND),
        (None, None, None, Step.MISSING),
        (EntryState.PENDING, None, FILE, Step.SEND),
        (EntryState.PENDING, FILE, FILE, Step.SEND),
        (EntryState.PENDING, FILE, GROWN, Step.SEND),
        (EntryState.PENDING, FILE, None, Step.MISSING),
        (EntryState.IN_DOUBT, FILE, FILE, Step.RECONCILE),
        (EntryState.IN_DOUBT, FILE, GROWN, Step.RECONCILE),
        (EntryState.IN_DOUBT, FILE, None, Step.RECONCILE),
        (EntryState.ACCEPTED, FILE, FILE, Step.SETTLED),
        (EntryState.ACCEPTED, FILE, None, Step.SETTLED),
        (EntryState.ACCEPTED, FILE, GROWN, Step.SEND),
        (EntryState.ACCEPTED, FILE, LATER, Step.COMPARE),
        (EntryState.ACCEPTED, FILE, MOVED, Step.COMPARE),
        (EntryState.ACCEPTED, None, FILE, Step.SEND),
        (EntryState.ACCEPTED, DATED, DATED, Step.SETTLED),
        (EntryState.ACCEPTED, DATED, CHANGED, Step.COMPARE),
        (EntryState.ACCEPTED, FILE, CHANGED, Step.SETTLED),
        (EntryState.ACCEPTED, DATED, FILE, Step.SETTLED),
        *((state, FILE, FILE, Step.BLOCKED) for state in FAILED),
        *((state, FILE, CHANGED, Step.BLOCKED) for state in FAILED),
        *((state, DATED, CHANGED, Step.SEND) for state in FAILED),
        *((state, None, FILE, Step.BLOCKED) for state in JUDGED),
        (EntryState.FAILED_LOCAL, None, FILE, Step.SEND),
        *((state, FILE, LATER, Step.SEND) for state in FAILED),
        *((state, FILE, GROWN, Step.SEND) for state in FAILED),
        *((state, FILE, None, Step.BLOCKED) for state in JUDGED),
        (EntryState.FAILED_LOCAL, FILE, None, Step.MISSING),
        (EntryState.FAILED_LOCAL, None, None, Step.MISSING),
    ],
)
def test_decision_table(
    state: EntryState | None, then: Fingerprint | None, now: Fingerprint | None, step: Step
) -> None:
    """The ledger's view and the file as it is now decide, and the person is told why."""
    decided = plan_entry(None if state is None else known(state, then), now)
    assert decided.step is step
    assert decided.reason


def test_touched_without_a_hash() -> None:
    """What was sent may be read back from the server; if it gives nothing back, the file is sent."""
    assert plan_entry(known(EntryState.ACCEPTED, FILE, None), LATER).step is Step.COMPARE
    assert same_content(None, HASH).step is Step.SEND
    assert same_content(None, HASH, only_ctime=True).step is Step.SETTLED


@pytest.mark.parametrize("state", FAILED)
@pytest.mark.parametrize("asked", FAILED)
def test_retry_as_asked(state: EntryState, asked: EntryState) -> None:
    """Only the settled states that the person names are tried again."""
    decided = plan_entry(known(state), FILE, retry=frozenset({asked}))
    assert decided.step is (Step.SEND if state is asked else Step.BLOCKED)


@pytest.mark.parametrize("state", FAILED)
def test_retry_of_what_is_gone(state: EntryState) -> None:
    """What is to be tried again, and has no file, is missing: the old verdict was about another time."""
    assert plan_entry(known(state), None, retry=frozenset({state})).step is Step.MISSING


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (EntryState.REJECTED, "rejected"),
        (EntryState.FAILED_LOCAL, "failed"),
        (EntryState.INVALID, "invalid"),
        (EntryState.WITHDRAWN, "withdrawn"),
    ],
)
def test_blocked_says_how_to_go_on(state: EntryState, word: str) -> None:
    """A blocked entry shows its last reason and the option that tries it again."""
    decided = plan_entry(known(state, reason="HTTP 413"), FILE)
    assert decided.reason == f"HTTP 413; --retry {word} retries it"
    assert plan_entry(known(state), FILE).reason == f"{state}; --retry {word} retries it"


def test_reasons_are_kept() -> None:
    """What the ledger says of an entry that is not settled is what the plan shows."""
    assert plan_entry(known(EntryState.PENDING, reason="HTTP 500"), FILE).reason == "HTTP 500"
    assert plan_entry(known(EntryState.IN_DOUBT, reason="silence"), FILE).reason == "silence"


@pytest.mark.parametrize("fingerprint", [FILE, GROWN, None])
def test_a_doubt_is_never_sent(fingerprint: Fingerprint | None) -> None:
    """No wish of the person sends an entry in doubt before it was reconciled."""
    decided = plan_entry(known(EntryState.IN_DOUBT), fingerprint, retry=frozenset(EntryState))
    assert decided.step is Step.RECONCILE


def test_same_content() -> None:
    """A touched file with the receipt's hash is settled; another hash makes it a new file to send."""
    entry = known(EntryState.ACCEPTED)
    assert same_content(entry.content_hash, HASH).step is Step.SETTLED
    assert same_content(entry.content_hash, "b" * 64).step is Step.SEND


def executed(
    entry: KnownEntry | None,
    step: Step,
    fingerprint: Fingerprint | None,
    *,
    end: EntryState,
    sha256: str | None,
) -> KnownEntry | None:
    """Return the ledger's view once a run has done `step`, where sending ends in `end`."""
    if entry is not None and step is Step.COMPARE and sha256 == entry.content_hash:
        return replace(entry, fingerprint=fingerprint)
    if step in (Step.SEND, Step.COMPARE):
        return known(end, fingerprint, sha256)
    if step is Step.RECONCILE:
        return known(EntryState.ACCEPTED, fingerprint, sha256)
    return entry


FINGERPRINTS = st.builds(
    Fingerprint, size=st.integers(0, 2), mtime_ns=st.integers(0, 2), inode=st.integers(0, 2)
)
HASHES = st.sampled_from(["a", "b"])
VIEWS = st.none() | st.builds(
    lambda state, fingerprint, sha256: KnownEntry(
        entry_id=1, state=state, fingerprint=fingerprint, content_hash=sha256, reason=None
    ),
    state=st.sampled_from(EntryState),
    fingerprint=st.none() | FINGERPRINTS,
    sha256=st.none() | HASHES,
)


@given(
    VIEWS,
    st.none() | FINGERPRINTS,
    st.sampled_from([EntryState.ACCEPTED, *FAILED]),
    HASHES,
    st.sets(st.sampled_from(FAILED)),
)
def test_an_executed_plan_leaves_nothing(
    entry: KnownEntry | None,
    fingerprint: Fingerprint | None,
    end: EntryState,
    sha256: str,
    retry: set[EntryState],
) -> None:
    """The same command after a run has nothing left to send, compare or reconcile."""
    step = plan_entry(entry, fingerprint, retry=frozenset(retry)).step
    after = executed(entry, step, fingerprint, end=end, sha256=sha256)
    again = plan_entry(after, fingerprint)
    assert again.step in (Step.SETTLED, Step.BLOCKED, Step.MISSING)


@given(VIEWS, FINGERPRINTS, FINGERPRINTS)
def test_an_accepted_file_is_sent_again_only_when_it_changed(
    entry: KnownEntry | None, fingerprint: Fingerprint, sent_as: Fingerprint
) -> None:
    """An accepted file goes out again only where its size differs or its content cannot be shown to be the same."""
    if entry is None:
        entry = known(EntryState.ACCEPTED, sent_as)
    accepted = replace(entry, state=EntryState.ACCEPTED, fingerprint=sent_as)
    step = plan_entry(accepted, fingerprint).step
    if fingerprint == sent_as:
        assert step is Step.SETTLED
    elif fingerprint.size == sent_as.size:
        assert step is Step.COMPARE
    else:
        assert step is Step.SEND


@pytest.mark.parametrize("state", list(EntryState))
def test_other_rules_concern_invalid_entries_only(state: EntryState) -> None:
    """An entry that other rules found invalid is validated again; nothing else depends on rules."""
    decided = plan_entry(known(state), FILE, other_rules=True)
    if state is EntryState.INVALID:
        assert (decided.step, decided.reason) == (Step.SEND, "was invalid by other rules")
    else:
        assert decided == plan_entry(known(state), FILE)
