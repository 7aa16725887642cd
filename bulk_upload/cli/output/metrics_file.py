"""Keeps a metrics file up to date during a run, without delaying the run."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from bulk_upload.core.text.printable import printable
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.errors import BulkUploadError, UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.files.metrics import METRICS_EVERY_S, RunNumbers, last_success_in, save_metrics
from bulk_upload.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk_upload.core.events import Snapshot
    from bulk_upload.core.model import EntryState
    from bulk_upload.core.report.tally import Tally


class MetricsFile:
    """The metrics file of one run.

    Args:
        path: of the file.
        ledger: of the job.
        tally: returns the numbers, which keep changing.
        snapshot: returns the state of the run.
        private: the file is for its owner alone.

    Raises UsageError where the file cannot be written.
    """

    def __init__(
        self,
        path: str,
        ledger: str,
        tally: Callable[[], Tally],
        snapshot: Callable[[], Snapshot],
        *,
        private: bool = False,
    ) -> None:
        self.failure: str | None = None
        self._path = path
        self._private = private
        self._ledger = ledger
        self._tally = tally
        self._snapshot = snapshot
        self._started_utc_s = time.time()
        self._started_at = time.monotonic()
        self._last_success_utc_s = _last_success(path)
        self._write(exit_code=None)
        if self.failure is not None:
            raise UsageError(
                f"cannot write metrics to {printable(path)}: {self.failure}",
                hint="choose another file with --metrics-file",
            )

    async def keep(self) -> None:
        """Write the file every `METRICS_EVERY_S`, on a thread, until cancelled."""
        while True:
            await anyio.sleep(METRICS_EVERY_S)
            await anyio.to_thread.run_sync(partial(self._write, exit_code=None))

    def close(self, status: ExitStatus | int) -> None:
        """Write the file for the last time, with the run's result."""
        if status == ExitStatus.DONE:
            self._last_success_utc_s = time.time()
        self._write(exit_code=int(status))

    def _write(self, *, exit_code: int | None) -> None:
        try:
            save_metrics(
                self._path,
                RunNumbers(
                    version=__version__,
                    ledger=self._ledger,
                    tally=self._tally(),
                    snapshot=self._snapshot(),
                    states=_states(self._ledger),
                    started_utc_s=self._started_utc_s,
                    duration_s=time.monotonic() - self._started_at,
                    exit_code=exit_code,
                    last_success_utc_s=self._last_success_utc_s,
                ),
                private=self._private,
            )
        except OSError as error:
            self.failure = error.strerror or str(error)
        else:
            self.failure = None


def _states(ledger: str) -> Mapping[EntryState, int] | None:
    with suppress(BulkUploadError), LedgerReader(ledger) as reader:
        return reader.states()
    return None


def _last_success(path: str) -> float | None:
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as stream:
        return last_success_in(stream.read(1_000_000))
    return None
