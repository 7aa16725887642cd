"""The verdict of a command, as the shell sees it: the one place that defines exit codes."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class ExitStatus(IntEnum):
    """Exit codes of every command; `meaning` is the text the documentation shows."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    DONE = 0, "every entry of the job is accepted"
    UNEXPECTED = 1, "a bug in bulk-upload; the message asks for a report"
    USAGE = 2, "the command line or the configuration is wrong"
    SOME_FAILED = (
        3,
        "finished; some entries were rejected, invalid, failed or withdrawn, or files could not be read or have no purpose: fix that first",
    )
    IN_DOUBT = 4, "some entries are in doubt: the server may have them"
    UNFINISHED = (
        5,
        "not finished (deadline, --max-errors, attempts or patience used up, server unreachable, this machine short of threads or files): run again",
    )
    DIFFERENCES = 6, "`verify` found differences between the ledger and the server"
    NO_RUN = 7, "`control` found no active run that it could reach"
    RESULTS_STALE = (
        8,
        "every entry is accepted, but a results file is stale or incomplete; `ledger export` writes it again",
    )
    INVALID_INPUT = 10, "the manifest or its data is invalid; nothing was sent"
    LEDGER_UNUSABLE = (
        11,
        "the ledger is locked, another job's, newer, not writable, its disk is full, or a copy of it went on elsewhere",
    )
    CREDENTIALS_REFUSED = 12, "the server refused the API key"
    INTERRUPTED = 130, "stopped by SIGINT; run again to resume"
    TERMINATED = 143, "stopped by SIGTERM or SIGHUP; run again to resume"


PRECEDENCE = (
    ExitStatus.UNEXPECTED,
    ExitStatus.LEDGER_UNUSABLE,
    ExitStatus.CREDENTIALS_REFUSED,
    ExitStatus.INTERRUPTED,
    ExitStatus.TERMINATED,
    ExitStatus.IN_DOUBT,
    ExitStatus.UNFINISHED,
    ExitStatus.SOME_FAILED,
    ExitStatus.RESULTS_STALE,
)
"""Where several apply to one run, the earliest wins."""
