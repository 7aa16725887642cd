from __future__ import annotations

import pytest
from msgspec.structs import replace

from bulk_upload.core.doubt.content import ComparedBy
from bulk_upload.core.events import ContentCompared, Event, ReceiptsChecked, RunLimited
from bulk_upload.core.limits.bottleneck import Bottleneck
from bulk_upload.core.model import Altered, AlteredField, EntryState, ReceiptOrigin, Throttled
from bulk_upload.core.report.tally import Tally, exit_status
from bulk_upload.core.run.fault_scope import RERUN_HINT, Stop
from bulk_upload.core.text.printable import COLUMNS_MAX
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.live.run_summary import closing_lines
from bulk_upload.report.live.verdict import NO_DATA_COMMANDS, NONE_DROPPED, DataCommands, Dropped, SummaryLine
from tests.report.scripted_run import FILE_BYTES, LOST, ended, plan, receipt, settled, started

COMMAND = "bulk-upload run m.jsonl"
INTERRUPT = Stop(status=ExitStatus.INTERRUPTED, reason="Ctrl-C", hint="nothing was lost")


def _tally(*events: Event) -> Tally:
    tally = Tally()
    for event in events:
        tally.add(event)
    return tally


def _closing(
    tally: Tally,
    states: dict[EntryState, int],
    *,
    stop: Stop | None = None,
    elapsed_s: float = 10.0,
    ledger_path: str = "m.ledger.db",
    results_path: str | None = "m.results.csv",
    dropped: Dropped = NONE_DROPPED,
    list_decides: bool = True,
    data_commands: DataCommands = NO_DATA_COMMANDS,
    columns: int = COLUMNS_MAX,
    rows: int | None = None,
) -> list[str]:
    return closing_lines(
        tally,
        states,
        stop=stop,
        status=exit_status(states, stop),
        elapsed_s=elapsed_s,
        ledger_path=ledger_path,
        results_path=results_path,
        rerun_command=COMMAND,
        dropped=dropped,
        list_decides=list_decides,
        data_commands=data_commands,
        columns=columns,
        rows=rows,
    )


def test_a_good_run_is_told_in_a_few_lines() -> None:
    """What was accepted, how fast, where it is recorded, and the verdict."""
    tally = _tally(plan(3, settled_count=1), started("a"), started("b"), settled("a"), settled("b"))
    assert _closing(tally, {EntryState.ACCEPTED: 3}) == [
        "Accepted 2 of 3 entries in 10 s: 2.0 MB, 200.0 kB/s on average.",
        "Accepted before: 1 entry.",
        "",
        "Results: m.results.csv",
        "Ledger: m.ledger.db",
        "Exit code 0: every entry of the job is accepted.",
    ]


def test_what_limited_the_run_is_told() -> None:
    """The longest first, with how long; what did so for less than a second is left out."""
    held = {
        Bottleneck.IN_FLIGHT: 0.9,
        Bottleneck.SERVER: 12.0,
        Bottleneck.BANDWIDTH: 100.0,
        Bottleneck.PERSON: 1.0,
    }
    tally = _tally(plan(1), started("a"), settled("a"), RunLimited(held_s=held))
    assert _closing(tally, {EntryState.ACCEPTED: 1})[1] == (
        "What limited the run: --bandwidth (1 min 40 s), the server's pauses (12 s), your pause (1.0 s)."
    )


def test_refusals_by_chance_are_told() -> None:
    """A share that is refused whatever the load is named, and that it slowed nothing down."""
    tally = _tally(plan(1), started("a"), settled("a"), RunLimited(held_s={}, chance_share=0.0112))
    assert _closing(tally, {EntryState.ACCEPTED: 1})[1] == (
        "1.1 % of requests refused whatever our rate; not slowing down for them."
    )


def test_a_job_that_was_done_before_has_nothing_to_do() -> None:
    """The same command after full success says so."""
    lines = _closing(_tally(plan(2, settled_count=2)), {EntryState.ACCEPTED: 2}, results_path=None)
    assert lines == [
        "Nothing to do: all 2 entries were accepted before.",
        "",
        "Ledger: m.ledger.db",
        "Exit code 0: every entry of the job is accepted.",
    ]
    assert _closing(_tally(plan(1, settled_count=1)), {EntryState.ACCEPTED: 1})[0] == (
        "Nothing to do: the only entry was accepted before."
    )


def test_what_was_only_compared_is_not_told_as_sent() -> None:
    """Touched files with their old content: nothing was sent, and there is no rate of it."""
    unchanged = [replace(settled(path), unchanged=True) for path in "abc"]
    assert (
        _closing(_tally(plan(3), *unchanged), {EntryState.ACCEPTED: 3})[0] == "3 unchanged, nothing was sent."
    )
    assert _closing(_tally(plan(4), *unchanged), {EntryState.ACCEPTED: 4})[:2] == [
        "3 unchanged, nothing was sent.",
        "Accepted before: 1 entry.",
    ]
    both = _closing(_tally(plan(4), *unchanged, started("d"), settled("d")), {EntryState.ACCEPTED: 4})
    assert both[:2] == [
        "Accepted 1 of 4 entries in 10 s: 1.0 MB, 100.0 kB/s on average.",
        "Unchanged, not sent: 3 entries.",
    ]


def test_what_was_not_compared_is_told_with_the_way_to_resume() -> None:
    """The entry is accepted, and yet there was something to do."""
    lines = closing_lines(
        _tally(plan(1)), {EntryState.ACCEPTED: 1}, stop=INTERRUPT, status=ExitStatus.INTERRUPTED, elapsed_s=1.0,
        ledger_path="m.ledger.db", results_path=None, rerun_command=COMMAND, uncompared_count=1,
    )  # fmt: skip
    assert lines[:7] == [
        "Nothing was sent. 1 of 1 entry was accepted before.",
        "",
        "Stopped: Ctrl-C.",
        "  nothing was lost",
        "",
        "1 touched file was not compared with what was accepted.",
        "",
    ]
    assert lines[-3:-1] == ["Run the same command to resume:", f"  {COMMAND}"]


def test_what_the_manifest_no_longer_has_is_told() -> None:
    """How many, and the commands that show them and delete their files."""
    lines = _closing(
        _tally(plan(1), started("a"), settled("a")), {EntryState.ACCEPTED: 1}, dropped=Dropped(entry_count=3)
    )
    assert lines[2:5] == [
        "3 entries of the ledger are not in this manifest (dropped). To see them, and to delete their files:",
        "    bulk-upload ledger export m.ledger.db --all",
        "    bulk-upload undo m.ledger.db --only dropped",
    ]


def test_what_has_no_files_is_not_offered_to_undo() -> None:
    """An entry that was only invalid has nothing at the server; files of a folder are in no manifest."""
    dropped = Dropped(entry_count=1, has_files=False, in_folder=True)
    lines = _closing(_tally(plan(1), started("a"), settled("a")), {EntryState.ACCEPTED: 1}, dropped=dropped)
    assert lines[2:5] == [
        "1 entry of the ledger is not among these files (dropped). To see them:",
        "    bulk-upload ledger export m.ledger.db --all",
        "",
    ]


def test_what_options_left_out_is_not_called_dropped_only() -> None:
    """Files that --include or --exclude leaves out are still wanted, maybe: the summary that offers to delete says so."""
    lines = _closing(
        _tally(plan(1), started("a"), settled("a")),
        {EntryState.ACCEPTED: 1},
        dropped=Dropped(entry_count=1, is_selected=True),
    )
    assert " ".join(lines[2:4]).startswith(
        "1 entry of the ledger is not in this manifest (dropped), or left out by --include or --exclude. "
        "To see them, and to delete their files:"
    )


def test_an_empty_manifest_has_nothing_to_do() -> None:
    """No entries is a fact worth a sentence."""
    assert _closing(_tally(plan(0)), {})[0] == "Nothing to do: the manifest has no entries."


def test_failures_are_clustered_with_examples_and_the_command_that_retries_them() -> None:
    """A thousand files with one cause are one paragraph: count, cause, three names, remedy, command."""
    tally = _tally(
        *(
            settled(f"d/{n}.jsonl", EntryState.REJECTED, reason=f"HTTP 400: line {n} is bad")
            for n in range(1000)
        ),
        settled("big", EntryState.REJECTED, reason="HTTP 413: too large"),
    )
    lines = _closing(tally, {EntryState.REJECTED: 1001})
    begin = lines.index("1,001 entries rejected by the server:")
    assert lines[begin + 1 : begin + 9] == [
        "  1,000 x HTTP 400: line 0 is bad (and similar)",
        "      d/0.jsonl",
        "      d/1.jsonl",
        "      d/2.jsonl",
        "      and 997 more",
        "  1 x HTTP 413: too large",
        "      big",
        "  The next run sends changed files; with --retry rejected the others too.",
    ]
    assert lines[-4:-2] == ["Next, fix these files and send the changed ones:", f"  {COMMAND}"]
    assert lines[-2].startswith("Exit code 3: finished; some entries were rejected")
    assert "For an HTML report: bulk-upload report m.ledger.db" in lines


def test_invalid_data_names_the_command_that_leads_on() -> None:
    """`convert` where it puts the only invalid file right, else `validate`; then the run. Other faults change nothing."""
    states = {EntryState.ACCEPTED: 1, EntryState.INVALID: 2, EntryState.REJECTED: 1}

    def step(commands: DataCommands) -> list[str]:
        lines = _closing(Tally(), states, data_commands=commands)
        return next(lines[index:] for index, line in enumerate(lines) if line.startswith("Next, "))

    shown = DataCommands(validate="bulk-upload validate m.jsonl")
    assert step(shown)[:4] == [
        "Next, see what is wrong with the data, and how to fix it:",
        "  bulk-upload validate m.jsonl",
        "Then send what was fixed:",
        f"  {COMMAND}",
    ]
    convert = replace(shown, convert="bulk-upload convert a.jsonl --purpose fine-tune")
    assert step(convert)[:4] == [
        "Next, write the data in the shape that is wanted:",
        "  bulk-upload convert a.jsonl --purpose fine-tune",
        "Then name the new file in the manifest, and send it:",
        f"  {COMMAND}",
    ]
    folder = replace(convert, leaves_out="--exclude /a.jsonl")
    assert step(folder)[2:4] == [
        "Then send the new file in its place:",
        f"  {COMMAND} --exclude /a.jsonl",
    ]
    assert "Next, fix these files and send the changed ones:" in _closing(
        Tally(), {EntryState.REJECTED: 1}, data_commands=convert
    )


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (EntryState.REJECTED, "rejected"),
        (EntryState.INVALID, "invalid"),
        (EntryState.FAILED_LOCAL, "failed"),
        (EntryState.WITHDRAWN, "withdrawn"),
    ],
)
def test_each_kind_of_failure_has_its_own_retry(state: EntryState, word: str) -> None:
    """The option shown tries again exactly what failed in that way, in this run or an earlier one."""
    now = _closing(_tally(settled("a", state, reason="why")), {state: 1})
    earlier = _closing(_tally(plan(5)), {state: 1, EntryState.ACCEPTED: 4})
    assert f"--retry {word} " in " ".join(now)
    assert f"--retry {word} " in " ".join(earlier)
    assert earlier[0] == "Nothing was sent. 4 of 5 entries were accepted before."


def test_many_reasons_are_summed_up() -> None:
    """After five causes the rest is one line, so that the closing fits a screen."""
    words = ("one", "two", "three", "four", "five", "six", "seven")
    tally = _tally(*(settled(word, EntryState.REJECTED, reason=word) for word in words))
    assert "  2 for 2 other reasons" in _closing(tally, {EntryState.REJECTED: 7})


def test_failures_of_earlier_runs_are_told_apart() -> None:
    """The counts of the ledger add up even where this run saw only a part."""
    tally = _tally(settled("a", EntryState.INVALID, reason="why"))
    assert "  4 in earlier runs" in _closing(tally, {EntryState.INVALID: 5})


def test_in_doubt_names_both_ways_out() -> None:
    """The next run looks at the server; what the list cannot tell is shown with the ways out."""
    tally = _tally(
        started("a"), ended("a", LOST), settled("a", EntryState.IN_DOUBT, reason="the answer was lost")
    )
    lines = _closing(tally, {EntryState.IN_DOUBT: 1})
    assert "1 entry in doubt:" in lines
    assert f"  {COMMAND}" in lines
    assert any(line.startswith("    bulk-upload resolve ") for line in lines)
    assert lines[-1].startswith("Exit code 4: ")


def test_in_doubt_names_one_way_out_where_no_list_can_tell() -> None:
    """The next run settles nothing there, so it is not advised."""
    tally = _tally(started("a"), settled("a", EntryState.IN_DOUBT, reason="the answer was lost"))
    lines = _closing(tally, {EntryState.IN_DOUBT: 1}, list_decides=False, columns=1000)
    assert not any("next run" in line or line.strip() == COMMAND for line in lines)
    assert any("so they stay in doubt until you settle them." in line for line in lines)
    assert lines[-3:-1] == ["Next, settle what is in doubt:", "  bulk-upload resolve m.ledger.db"]


def test_a_stop_says_why_and_what_next() -> None:
    """The reason and the hint stand before the details, and the same command goes on."""
    tally = _tally(started("a"), settled("a"))
    lines = _closing(tally, {EntryState.ACCEPTED: 1, EntryState.PENDING: 9}, stop=INTERRUPT)
    begin = lines.index("Stopped: Ctrl-C.")
    assert lines[begin + 1] == "  nothing was lost"
    assert "9 entries not finished." in lines
    assert lines[-3:-1] == ["Run the same command to resume:", f"  {COMMAND}"]
    assert lines[-1].startswith("Exit code 130: ")


def test_what_the_verdict_and_the_command_say_is_not_said_again() -> None:
    """A signal is in the verdict, and the command to run again stands above it."""
    tally = _tally(started("a"), settled("a"))
    states = {EntryState.ACCEPTED: 1, EntryState.PENDING: 9}
    signal = Stop(status=ExitStatus.INTERRUPTED, reason="received SIGINT", hint=RERUN_HINT)
    lines = _closing(tally, states, stop=signal)
    assert not any("Stopped" in line or RERUN_HINT in line for line in lines)
    assert lines[-3] == "Run the same command to resume:"
    full = _closing(tally, states, stop=replace(signal, reason="the disk is full"))
    assert "Stopped: the disk is full." in full
    assert not any(RERUN_HINT in line for line in full)


def test_a_terminal_gets_a_command_that_is_too_long_on_a_line_of_its_own() -> None:
    """It is not torn at its last letter; a log has it in one line, as scripts look for it."""
    tally = _tally(started("a"), settled("a", EntryState.REJECTED, reason="HTTP 400"))
    path = f"{'datasets/' * 6}m.ledger.db"
    states = {EntryState.REJECTED: 1}
    torn = f"For an HTML report: bulk-upload report {path}"
    assert torn in _closing(tally, states, columns=80, ledger_path=path)
    lines = _closing(tally, states, columns=80, rows=24, ledger_path=path)
    place = lines.index("For an HTML report:")
    assert lines[place + 1] == f"  bulk-upload report {path}"
    assert f"Ledger: {path}" in lines


def test_a_stop_that_came_too_late_is_not_mentioned() -> None:
    """A run that settled everything before it was stopped is a run that finished."""
    lines = _closing(_tally(settled("a")), {EntryState.ACCEPTED: 1}, stop=INTERRUPT)
    assert not any(line.startswith("Stopped") for line in lines)


def test_causes_that_the_ledger_no_longer_holds_are_not_shown() -> None:
    """An entry that was rejected and then reopened is judged by where it stands at the end."""
    tally = _tally(settled("a", EntryState.REJECTED, reason="HTTP 403"))
    lines = _closing(tally, {EntryState.PENDING: 1})
    assert not any("rejected" in line for line in lines)


def test_what_became_of_doubts_is_told() -> None:
    """Whoever was told that an entry is in doubt learns that it was not on the server, and that it was sent again."""
    again = replace(started("a"), was_absent=True)
    lines = _closing(_tally(plan(1), again, settled("a")), {EntryState.ACCEPTED: 1})
    assert "1 entry in doubt was not on the server: sent again." in lines


def test_effort_is_told_only_where_there_was_some() -> None:
    """Retries, throttling, adopted files and unconfirmed sizes are worth a sentence each."""
    tally = _tally(
        started("a"),
        ended("a", Throttled(http_status=429, retry_after_s=1.0), retry_in_s=0.0),
        settled("a", receipt=receipt("a", obtained=ReceiptOrigin.RECONCILED)),
        settled("b", receipt=receipt("b", size_confirmed=False)),
    )
    assert _closing(tally, {EntryState.ACCEPTED: 2})[1:3] == [
        "1 retry. The server throttled 1 attempt. 1 entry accepted through the server's list. 1 entry",
        "accepted without the server confirming the size.",
    ]


def test_what_was_compared_is_told() -> None:
    """Reading back costs time and traffic: how many files, and how much."""
    compared = ContentCompared(path="a", file_id="f", same=True, by=ComparedBy.WHOLE, read_bytes=180_000_000)
    lines = _closing(_tally(compared, compared, settled("a")), {EntryState.ACCEPTED: 1})
    assert "Compared 2 files at the server by content, 360.0 MB read back." in lines


@pytest.mark.parametrize("columns", [80, 100])
def test_sentences_fit_and_paths_and_commands_stay_whole(columns: int) -> None:
    """Only what a person may want to copy is longer than the terminal is wide."""
    path = "folder with spaces/" * 12 + "a.jsonl"
    tally = _tally(
        settled(path, EntryState.REJECTED, reason="HTTP 422: " + "words " * 40),
        settled("b", EntryState.IN_DOUBT, reason="lost " * 40),
    )
    states = {EntryState.REJECTED: 1, EntryState.IN_DOUBT: 1, EntryState.PENDING: 1}
    lines = _closing(tally, states, stop=INTERRUPT, ledger_path=path, results_path=path, columns=columns)
    assert f"      {path}" in lines
    assert f"Ledger: {path}" in lines
    assert all(len(line) <= columns for line in lines if path not in line)


def test_names_and_reasons_cannot_steer_a_terminal() -> None:
    """Every line is printable, whatever files and servers are called."""
    evil = "a\x1b[2J\udcff\u202e\n"
    tally = _tally(settled(evil, EntryState.REJECTED, reason=evil))
    stop = Stop(status=ExitStatus.UNFINISHED, reason=evil, hint=evil)
    lines = _closing(
        tally,
        {EntryState.REJECTED: 1, EntryState.PENDING: 1, EntryState.IN_DOUBT: 1},
        stop=stop,
        ledger_path=evil,
        results_path=evil,
    )
    assert all(line.isprintable() for line in lines)


def test_a_run_of_no_time_has_no_rate() -> None:
    """A rate over an instant would be a made-up number."""
    assert _closing(_tally(settled("a")), {EntryState.ACCEPTED: 1}, elapsed_s=0.0)[0] == (
        f"Accepted 1 of 1 entry in 0.0 s: {FILE_BYTES / 1e6} MB."
    )


def test_what_the_server_changed_is_told_once() -> None:
    """Entries that were taken for another purpose or under another name are counted in a line each, in doubt or not."""
    purpose = Altered(field=AlteredField.PURPOSE, sent="fine-tune", stored="fine_tune")
    names = [Altered(field=AlteredField.NAME, sent=f"f {no}", stored=f"f_{no}") for no in range(3)]
    tally = _tally(
        plan(3),
        *(replace(settled(str(no)), altered=(purpose,)) for no in range(2)),
        *(replace(settled(one.sent), altered=(one,)) for one in names),
        replace(settled("d", EntryState.IN_DOUBT, reason="odd"), altered=(purpose,)),
    )
    lines = _closing(tally, {EntryState.ACCEPTED: 5, EntryState.IN_DOUBT: 1})
    assert "3 entries: the server has them under another name: 'f_0' for 'f 0' and the like." in lines
    assert "3 entries: the server has them for another purpose: 'fine_tune' for 'fine-tune'." in lines
    only = _tally(plan(1), replace(settled("a"), altered=(purpose,)))
    assert "1 entry: the server has it for another purpose: 'fine_tune' for 'fine-tune'." in _closing(
        only, {EntryState.ACCEPTED: 1}
    )


def test_what_the_closing_check_did_not_cover_is_said() -> None:
    """Where it compared all receipts, nothing is."""

    def lines(checked_count: int, reason: str | None) -> list[str]:
        checked = ReceiptsChecked(
            receipt_count=10_000,
            checked_count=checked_count,
            withdrawn_count=0,
            in_doubt_count=0,
            request_count=9,
            reason=reason,
        )
        return _closing(_tally(plan(1), settled("a"), checked), {EntryState.ACCEPTED: 1})

    assert "Checked 4,200 of 10,000 receipts against the server's list: the run was stopped." in lines(
        4200, "the run was stopped"
    )
    assert not [one for one in lines(10_000, None) if one.startswith("Checked")]


def test_the_end_fits_a_small_terminal() -> None:
    """On 24 rows the verdict, the next command, and the title of each kind of failure are seen; less is left out first."""
    states = {
        EntryState.ACCEPTED: 10, EntryState.REJECTED: 100, EntryState.INVALID: 100, EntryState.FAILED_LOCAL: 1,
    }  # fmt: skip
    words = ("one", "two", "three", "four", "five", "six", "seven")
    tally = _tally(
        *(
            settled(f"{word}/{number}", state, reason=word)
            for word in words
            for number in range(14)
            for state in (EntryState.REJECTED, EntryState.INVALID)
        )
    )
    all_lines = _closing(tally, states, columns=80)
    lines = _closing(tally, states, columns=80, rows=23)
    assert len(all_lines) > 50
    assert len(lines) <= 23
    for part in (
        "100 entries rejected",
        "100 entries invalid",
        "1 entry failed",
        "Next, fix these files",
        "Exit code 3",
    ):
        assert sum(line.startswith(part) for line in lines) == 1, part
    assert _closing(tally, states, columns=80, rows=200) == all_lines


def test_the_lines_of_the_end_have_marks_and_colours_by_their_state() -> None:
    """Green for a good end, red for another one; the marks of failures are those of the counters."""
    good = _closing(_tally(plan(1), settled("a")), {EntryState.ACCEPTED: 1})[-1]
    bad = _closing(_tally(settled("a", EntryState.INVALID, reason="why")), {EntryState.INVALID: 1})
    assert isinstance(good, SummaryLine)
    assert (good.mark, good.style) == ("\u2713", "bold green")
    marks = {
        str(line).split(" ")[0]: (line.mark, line.style)
        for line in bad
        if isinstance(line, SummaryLine) and line.mark
    }
    assert marks == {"1": ("!", "magenta"), "Exit": ("\u2717", "bold red")}
