"""Checks a content that comes block by block, in order, while somebody sends it. Everything blocks; use a thread."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from bulk_upload.core.purposes import Format
from bulk_upload.edge.validation.packed import is_packed
from bulk_upload.edge.validation.reading import about_the_name, check_file, checker_of, merged

if TYPE_CHECKING:
    from typing import IO

    from bulk_upload.core.validation.checker import Checker
    from bulk_upload.core.validation.report import FileReport
    from bulk_upload.edge.validation.reading import CheckTask
    from bulk_upload.edge.validation.survey.surveyed import SurveyedChecker


class BlockCheck:
    """Checks one content as it passes by.

    JSON Lines are checked as they come. What can only be judged as a whole, such as Parquet or compressed lines, is kept
    in a temporary file until its end.
    """

    def __init__(self, task: CheckTask) -> None:
        self._task = task
        self._checker: Checker | SurveyedChecker | None = None
        self._kept: IO[bytes] | None = None

    def feed(self, block: bytes) -> None:
        """Check the next block. Raises OSError where there is no room to keep it."""
        if self._checker is None and self._kept is None:
            is_lines = self._task.purpose.format_of(self._task.path) is Format.JSON_LINES
            if is_lines and not is_packed(block):
                self._checker = checker_of(self._task)
            else:
                self._kept = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        if self._checker is not None:
            self._checker.feed(block)
        elif self._kept is not None:
            self._kept.write(block)

    def report(self) -> FileReport:
        """Return what was found, once all of it came. Raises OSError."""
        if self._checker is not None:
            self._checker.finish()
            return merged(about_the_name(self._task), self._checker.report())
        if self._kept is None:
            self._kept = tempfile.TemporaryFile()  # noqa: SIM115 - as above
        self._kept.flush()
        self._kept.seek(0)
        return check_file(self._kept.fileno(), self._task)

    def close(self) -> None:
        """Delete what was kept."""
        if self._kept is not None:
            self._kept.close()
