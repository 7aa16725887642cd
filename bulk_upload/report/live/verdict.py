"""The end of a summary: where everything is, the one command to run next, and the verdict; and the tone of each line."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Self

import msgspec

from bulk_upload.core.model import EntryState
from bulk_upload.core.run.fault_scope import RERUN_HINT
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.wording import dropped_words
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.live.marks import BAD, GOOD, STATE_MARKS
from bulk_upload.report.live.notable_events import BY_SIGNAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk_upload.core.run.fault_scope import Stop

COMMAND_STYLE = "bold"

_FAILED = (EntryState.REJECTED, EntryState.INVALID, EntryState.FAILED_LOCAL, EntryState.WITHDRAWN)


class DataCommands(msgspec.Struct, frozen=True, kw_only=True):
    """Commands that show what is wrong with data and put it right, quoted for a shell.

    `validate` is None where its manifest cannot be read a second time. `convert` is the command for one file, and
    `leaves_out` the option with which the folder's next run takes the new file instead; empty for a manifest.
    """

    validate: str | None = None
    convert: str | None = None
    leaves_out: str = ""


NO_DATA_COMMANDS = DataCommands()


class SummaryLine(str):
    """A line of the summary with its style, in rich's words, and a mark for terminals that can show them.

    `is_whole` says that it holds a path or a command, which a person may want to copy: it is never wrapped.
    """

    style: str
    mark: str
    ascii_mark: str
    is_whole: bool

    __slots__ = ("ascii_mark", "is_whole", "mark", "style")

    def __new__(
        cls, text: str, *, style: str = "", mark: str = "", ascii_mark: str = "", is_whole: bool = False
    ) -> Self:
        """Return the line."""
        line = super().__new__(cls, text)
        line.style, line.mark, line.ascii_mark, line.is_whole = style, mark, ascii_mark, is_whole
        return line

    def with_text(self, text: str, *, keeps_mark: bool) -> SummaryLine:
        """Return another text in the same style."""
        mark, ascii_mark = (self.mark, self.ascii_mark) if keeps_mark else ("", "")
        return SummaryLine(text, style=self.style, mark=mark, ascii_mark=ascii_mark, is_whole=self.is_whole)


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries of the ledger the manifest does not have, or the folder where `in_folder`.

    With `is_selected`, --include or --exclude left out files that may be among them, and that nobody need want to delete.
    `has_files` says whether the server has files of theirs.
    """

    entry_count: int = 0
    has_files: bool = True
    in_folder: bool = False
    is_selected: bool = False


NONE_DROPPED = Dropped()


def whole(text: str, style: str = "") -> SummaryLine:
    """Return a line with a path or a command."""
    return SummaryLine(text, style=style, is_whole=True)


def state_line(text: str, state: EntryState) -> SummaryLine:
    """Return the title of the entries in a state."""
    mark = STATE_MARKS[state]
    return SummaryLine(text, style=mark.style, mark=mark.sign, ascii_mark=mark.ascii)


def stopped_lines(
    stop: Stop | None, states: Mapping[EntryState, int], status: ExitStatus, *, is_resumed_below: bool
) -> list[str]:
    """Return why the run ended early, as far as the verdict and the next command do not say it."""
    if stop is None or (stop.reason.startswith(BY_SIGNAL) and stop.status is status):
        # The verdict says it.
        return []
    left = states.get(EntryState.PENDING, 0) or states.get(EntryState.IN_DOUBT, 0)
    if not left and stop.status is not status:
        return []
    lines = [f"Stopped: {printable(stop.reason)}."]
    if stop.hint == RERUN_HINT and is_resumed_below:
        return lines
    return [*lines, f"  {printable(stop.hint)}"]


def uncompared_lines(count: int) -> list[str]:
    """Return how many touched files were not compared; nothing for none."""
    if not count:
        return []
    return [
        f"{count:,} {'touched file was' if count == 1 else 'touched files were'} not compared with what was accepted."
    ]


def dropped_lines(dropped: Dropped, ledger_path: str) -> list[str]:
    """Return how many entries the manifest no longer has, and what may be done about them; nothing for none."""
    if not dropped.entry_count:
        return []
    ledger = printable(shlex.quote(ledger_path))
    also = ", or left out by --include or --exclude" if dropped.is_selected else ""
    what = f"{dropped_words(dropped.entry_count, in_folder=dropped.in_folder)}{also}"
    shows = whole(f"    bulk-upload ledger export {ledger} --all")
    if not dropped.has_files:
        return [f"{what}. To see them:", shows]
    return [
        f"{what}. To see them, and to delete their files:",
        shows,
        whole(f"    bulk-upload undo {ledger} --only dropped"),
    ]


def file_lines(ledger_path: str, results_path: str | None, status: ExitStatus) -> list[str]:
    """Return where the results and the ledger are, and how to make a report where not all is well."""
    lines: list[str] = []
    if results_path is not None:
        lines.append(whole(f"Results: {printable(results_path)}"))
    lines.append(whole(f"Ledger: {printable(ledger_path)}"))
    if status is not ExitStatus.DONE:
        lines.append(whole(f"For an HTML report: bulk-upload report {printable(shlex.quote(ledger_path))}"))
    return lines


def next_step(
    states: Mapping[EntryState, int],
    *,
    status: ExitStatus,
    rerun_command: str,
    ledger_path: str,
    uncompared_count: int,
    list_decides: bool,
    data_commands: DataCommands = NO_DATA_COMMANDS,
) -> list[str]:
    """Return the one command that leads further, and why; nothing where all is done.

    Of invalid data it is one that shows or mends the errors, where there is one, and then the run.
    """
    command = printable(rerun_command)
    if states.get(EntryState.PENDING, 0) or uncompared_count:
        return _step("Run the same command to resume:", command)
    if states.get(EntryState.IN_DOUBT, 0):
        if list_decides:
            return _step("Next, look up what is in doubt in the server's list:", command)
        return _step(
            "Next, settle what is in doubt:", f"bulk-upload resolve {printable(shlex.quote(ledger_path))}"
        )
    left = [state for state in _FAILED if states.get(state, 0)]
    if left == [EntryState.WITHDRAWN]:
        return _step("Next, send again what the server does not have:", f"{command} --retry withdrawn")
    if EntryState.INVALID in left and data_commands.convert is not None:
        then = (
            "Then send the new file in its place:"
            if data_commands.leaves_out
            else "Then name the new file in the manifest, and send it:"
        )
        return [
            *_step("Next, write the data in the shape that is wanted:", data_commands.convert),
            *_step(then, f"{command} {data_commands.leaves_out}".rstrip()),
        ]
    if EntryState.INVALID in left and data_commands.validate is not None:
        return [
            *_step("Next, see what is wrong with the data, and how to fix it:", data_commands.validate),
            *_step("Then send what was fixed:", command),
        ]
    if left:
        return _step("Next, fix these files and send the changed ones:", command)
    if status is ExitStatus.SOME_FAILED:
        # No entry failed: files of a folder have no purpose, or could not be read. The command lists them below.
        return _step("Next, run it again with the options named below for what is left out:", command)
    return [] if status is ExitStatus.DONE else _step("Run the same command again:", command)


def verdict_line(status: ExitStatus, meaning: str | None = None) -> SummaryLine:
    """Return the last line: the exit code and what it means, here or in general."""
    mark = GOOD if status is ExitStatus.DONE else BAD
    text = f"Exit code {int(status)}: {meaning or status.meaning}."
    return SummaryLine(text, style=mark.style, mark=mark.sign, ascii_mark=mark.ascii)


def _step(why: str, command: str) -> list[str]:
    return [why, whole(f"  {command}", COMMAND_STYLE)]
