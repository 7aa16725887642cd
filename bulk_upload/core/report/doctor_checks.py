"""What measurements of a machine and its server mean for a run: fine, doubtful, or blocking."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from bulk_upload.core.machine.file_systems import Journal, journal_for
from bulk_upload.core.text.printable import human_bytes, human_seconds
from bulk_upload.exit_status import PRECEDENCE, ExitStatus

DESCRIPTORS_MIN = 256
"""Two per upload, for a hundred in flight, and those a process has open anyway."""

CLOCK_OFFSET_S_MAX = 60.0
"""A minute is longer than any latency, and less than the skew that signatures usually tolerate (often five)."""

FREE_BYTES_MIN = 100_000_000
FREE_BYTES_COMFORTABLE = 2_000_000_000
"""A ledger needs about 1 kB per entry; its log and a backup before a migration need as much again."""


class Grade(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was checked. `status` is the exit code that a run would end with because of a problem."""

    name: str
    verdict: Grade
    words: str
    remedy: str | None = None
    status: ExitStatus = ExitStatus.DONE


def fine(name: str, words: str) -> Check:
    """Return a check that found nothing wrong."""
    return Check(name=name, verdict=Grade.OK, words=words)


def doubtful(name: str, words: str, remedy: str) -> Check:
    """Return a check that found a problem that does not stop a run."""
    return Check(name=name, verdict=Grade.WARNING, words=words, remedy=remedy)


def problem(name: str, words: str, remedy: str | None, status: ExitStatus) -> Check:
    """Return a check that found a problem that stops a run."""
    return Check(name=name, verdict=Grade.PROBLEM, words=words, remedy=remedy, status=status)


def descriptors(limit: int) -> Check:
    """Judge how many files and connections a process may have open."""
    words = f"{limit:,} files and connections may be open"
    if limit >= DESCRIPTORS_MIN:
        return fine("descriptors", words)
    return doubtful(
        "descriptors", words, "raise the hard limit (see `ulimit -Hn`); otherwise few uploads run in parallel"
    )


def clock(offset_s: float | None) -> Check:
    """Judge how far the server's clock is ahead of ours; None where it did not say."""
    if offset_s is None:
        return doubtful(
            "clock", "the server does not report its time", "compare this machine's clock by hand"
        )
    away = abs(offset_s)
    if away <= CLOCK_OFFSET_S_MAX:
        # A Date header has whole seconds, and the answer was on its way.
        return fine("clock", f"within {human_seconds(max(2.0, away))} of the server's")
    side = "behind" if offset_s > 0 else "ahead of"
    return doubtful("clock", f"{human_seconds(away)} {side} the server's", "let NTP set this machine's clock")


def free_space(free_bytes: int, folder: str) -> Check:
    """Judge the free space where a ledger is to be."""
    words = f"{human_bytes(free_bytes)} free in {folder}"
    if free_bytes < FREE_BYTES_MIN:
        remedy = "free some space, or choose another disk with --ledger FILE"
        return problem("disk", words, remedy, ExitStatus.LEDGER_UNUSABLE)
    if free_bytes < FREE_BYTES_COMFORTABLE:
        return doubtful(
            "disk", words, "enough for a small job; a ledger takes about 1 kB per entry, and more temporarily"
        )
    return fine("disk", words)


def ledger_place(path: str, *, is_there: bool, kind: str | None) -> Check:
    """Judge where a ledger is, or is to be, by the kind of its file system."""
    words = f"{path} {'is there' if is_there else 'can be made'}"
    if journal_for(kind) is Journal.WAL:
        return fine("ledger", f"{words}, on a local disk")
    remedy = "--ledger-dir DIR puts it on a local disk, which is faster and keeps no reader waiting"
    return doubtful(
        "ledger", f"{words}, with a rollback journal: its file system ({kind}) may be shared", remedy
    )


def answered(
    http_status: int | None, words: str, *, can_list: bool, remedy: str | None = None
) -> list[Check]:
    """Judge a list query that failed: what that means for the server, and for the key."""
    if remedy is not None:
        return [problem("server", words, remedy, ExitStatus.UNFINISHED)]
    again = "try again; if it persists, contact the operator of the server"
    if http_status is None:
        remedy = "check --base-url, the proxy and the network"
        return [problem("server", words, remedy, ExitStatus.UNFINISHED)]
    if http_status in (401, 403):
        remedy = "get a valid key; if the key is right, check --team and --base-url"
        refused = problem("key accepted", words, remedy, ExitStatus.CREDENTIALS_REFUSED)
        return [fine("server", f"answers, with HTTP {http_status}"), refused]
    if not can_list and (http_status in (404, 405) or http_status >= 500):
        untried = "not tried: this profile's servers do not list files"
        return [
            fine("server", f"answers, with HTTP {http_status}"),
            doubtful("key accepted", untried, "the first upload will show"),
        ]
    if http_status == 429:
        return [doubtful("server", words, "it is busy; a run would wait")]
    if 300 <= http_status < 500:
        remedy = "check --base-url and --profile: this address is not a Files API"
        return [problem("server", words, remedy, ExitStatus.UNFINISHED)]
    return [problem("server", words, again, ExitStatus.UNFINISHED)]


def exit_status_of(checks: list[Check]) -> ExitStatus:
    """Return the exit code of all checks: that of the gravest problem, in the order a run would use."""
    found = {one.status for one in checks if one.verdict is Grade.PROBLEM}
    if not found:
        return ExitStatus.DONE
    return next((status for status in PRECEDENCE if status in found), ExitStatus.USAGE)
