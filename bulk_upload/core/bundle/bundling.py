"""Whether the files of a run go in bundles, and in how large ones: learnt from the end of each bundle."""

from __future__ import annotations

from bulk_upload.core.bundle.answer import Lesson
from bulk_upload.core.bundle.grouping import FILES_MIN

FAILED_MAX = 3
"""So many bundles in a row that came to nothing end the attempt: files go one by one from then on."""

_WHY = {
    Lesson.UNSERVED: "the server does not take several files in one request",
    Lesson.UNCLEAR: "the server's answers to several files do not show which of them it stored",
    Lesson.TOO_LARGE: "the server takes no two files in one request",
    Lesson.REFUSED: f"the server refused {FAILED_MAX} bundles in a row",
    Lesson.LOST: f"{FAILED_MAX} bundles in a row got no answer",
}


class Bundling:
    """Decides, from the lessons of earlier bundles, how many files the next one may have.

    Until a bundle had files accepted, one is sent at a time: the others wait for what it shows.

    Args:
        files_max: how many files a bundle may have at first; 0 or 1 for none.
    """

    def __init__(self, files_max: int) -> None:
        self._files_max = files_max
        self._is_proven = False
        self._failed_count = 0
        self._in_flight = 0

    @property
    def is_on(self) -> bool:
        """Whether files go in bundles."""
        return self._files_max >= FILES_MIN

    @property
    def files_max(self) -> int:
        """How many files the next bundle may have; 1 where all go singly."""
        return self._files_max if self.is_on else 1

    def may_begin(self) -> bool:
        """Whether one more bundle may be sent now."""
        return self.is_on and (self._is_proven or not self._in_flight)

    def begin(self) -> None:
        """Count a bundle as on its way; `end` must follow."""
        self._in_flight += 1

    def end(self, lesson: Lesson, file_count: int) -> str | None:
        """Learn from the end of a bundle; return what a person should know, where something changes."""
        self._in_flight -= 1
        if not self.is_on or lesson is Lesson.NONE:
            return None
        if lesson is Lesson.SERVED:
            self._is_proven = True
            self._failed_count = 0
            return None
        if lesson is Lesson.TOO_LARGE:
            return self._halve(file_count)
        if self._is_proven and lesson is Lesson.LOST:
            # An outage, more likely than anything that has to do with bundles.
            return None
        self._failed_count += 1
        is_final = lesson in (Lesson.UNSERVED, Lesson.UNCLEAR) and not self._is_proven
        return self._turn_off(lesson) if is_final or self._failed_count >= FAILED_MAX else None

    def _halve(self, file_count: int) -> str | None:
        halved = file_count // 2
        if halved >= self._files_max:
            return None
        if halved < FILES_MIN:
            return self._turn_off(Lesson.TOO_LARGE)
        self._files_max = halved
        return f"HTTP 413 to {file_count} files in one request: at most {halved} from now on"

    def _turn_off(self, lesson: Lesson) -> str:
        self._files_max = 0
        return f"{_WHY[lesson]}: the rest is sent one by one"
