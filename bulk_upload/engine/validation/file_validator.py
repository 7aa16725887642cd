"""Checks files before they are sent: opens them beneath the root and has their content checked."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.core.purposes import PURPOSES, Purpose, unknown_to_us
from bulk_upload.core.run.source import SourceError
from bulk_upload.core.validation.rules import ALL_RULES, RuleChoice
from bulk_upload.edge.files import fingerprint_of, source_error
from bulk_upload.edge.validation.by_blocks import BlockCheck
from bulk_upload.edge.validation.reading import CheckTask, check_content
from bulk_upload.edge.validation.workers import CheckRequest, FileMoved, Looked, WorkerLost, Workers
from bulk_upload.engine.validation.validating import Checked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bulk_upload.core.run.source import ContentCheck
    from bulk_upload.core.shapes.command import ConvertCommand
    from bulk_upload.edge.source_tree import SourceTree
    from bulk_upload.edge.validation.survey.task import SurveyTask
    from bulk_upload.engine.validation.validating import CheckTarget

TRIES_MAX = 3
"""How often a file is checked in all that changes meanwhile, or whose process is lost."""


class FileValidator:
    """`Validating` with files on disk.

    Args:
        tree: where they are opened.
        workers: read and check them.
        purposes: what is known of each.
        choice: the rules that apply.
        thorough: see `Checker`.
        ignore_ctime: see `Job.ignore_ctime`.
        on_bytes: called with how many more bytes were read, on any thread.
        command_for: returns what converts a file of a path and a purpose, for remedies that name it.
        survey: what is wanted of the examples beside findings.
    """

    def __init__(
        self,
        tree: SourceTree,
        workers: Workers,
        *,
        purposes: Mapping[str, Purpose] = PURPOSES,
        choice: RuleChoice = ALL_RULES,
        thorough: bool = False,
        ignore_ctime: bool = False,
        on_bytes: Callable[[int], None] | None = None,
        command_for: Callable[[str, str], ConvertCommand] | None = None,
        survey: SurveyTask | None = None,
    ) -> None:
        self._tree = tree
        self._workers = workers
        self._purposes = purposes
        self._known = tuple(purposes.values())
        self._choice = choice
        self._thorough = thorough
        self._ignore_ctime = ignore_ctime
        self._on_bytes = on_bytes
        self._command_for = command_for
        self._survey = survey
        self._rules: dict[str, str] = {}

    def rules(self, purpose: str) -> str:
        """Return the version of the rules for a purpose."""
        rules = self._rules.get(purpose)
        if rules is None:
            rules = self._choice.version_of(self._purpose(purpose), thorough=self._thorough)
            self._rules[purpose] = rules
        return rules

    def task(self, path: str, purpose: str) -> CheckTask:
        """Return what a file is checked for."""
        return CheckTask(
            path=path,
            purpose=self._purpose(purpose),
            known=self._known,
            thorough=self._thorough,
            choice=self._choice,
            command=None if self._command_for is None else self._command_for(path, purpose),
            survey=self._survey,
        )

    def checks_when_read(self, target: CheckTarget, byte_count: int) -> bool:
        """Whether a look at the content will do for a small file, when somebody reads it to send it."""
        return self._workers.is_small(self._purpose(target.purpose), target.path, byte_count)

    def content_check(self, target: CheckTarget) -> ContentCheck:
        """Return what checks the content of such a file."""
        return partial(check_content, task=self.task(*target))

    def block_check(self, target: CheckTarget) -> BlockCheck:
        """Return what checks such a content as it passes by."""
        return BlockCheck(self.task(*target))

    async def check_all(
        self, targets: Sequence[CheckTarget], *, are_small: bool
    ) -> list[Checked | SourceError]:
        """Check files as they are now; one that cannot be read has its error in its place.

        Small ones do not wait behind large ones, and take one hop to a thread for all of them.
        """
        requests = [
            CheckRequest(
                partial(self._tree.open_regular, one.path),
                self.task(*one),
                self._on_bytes,
                ignore_ctime=self._ignore_ctime,
            )
            for one in targets
        ]
        results = await self._workers.check_all(requests, are_small=are_small)
        tries = 1
        while tries < TRIES_MAX:
            again = [index for index, one in enumerate(results) if isinstance(one, FileMoved | WorkerLost)]
            if not again:
                break
            tries += 1
            repeated = await self._workers.check_all([requests[one] for one in again], are_small=are_small)
            for index, result in zip(again, repeated, strict=True):
                results[index] = result
        return [_checked(one, ignore_ctime=self._ignore_ctime) for one in results]

    def _purpose(self, name: str) -> Purpose:
        return self._purposes.get(name) or unknown_to_us(name)


def _checked(
    result: Looked | FileMoved | WorkerLost | OSError, *, ignore_ctime: bool
) -> Checked | SourceError:
    match result:
        case Looked(report, status):
            return Checked(report=report, fingerprint=fingerprint_of(status, ignore_ctime=ignore_ctime))
        case FileMoved():
            return SourceError("the file keeps changing while it is validated")
        case WorkerLost():
            return SourceError(f"the file could not be validated: {result}")
        case _:
            return source_error(result)
