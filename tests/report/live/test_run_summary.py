"""What the last lines of a run say."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bulk_upload.core.doubt.content import ComparedBy
from bulk_upload.core.events import ContentCompared, ReceiptsChecked, RunLimited
from bulk_upload.core.limits.bottleneck import Bottleneck
from bulk_upload.core.model import Altered, AlteredField, EntryState, ReceiptOrigin, Throttled
from bulk_upload.core.run.fault_scope import RERUN_HINT, Stop
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.live.run_summary import closing_lines
from bulk_upload.report.live.verdict import Dropped, SummaryLine
from tests.report.live.closing_text import COMMAND, INTERRUPT, closing, tally_of
from tests.report.scripted_run import FILE_BYTES, ended, plan, receipt, settled, started


def test_a_good_run_is_told_in_a_few_lines() -> None:
    """What was accepted, how fast, where it is recorded, and the verdict."""
    tally = tally_of(plan(3, settled_count=1), started("a"), started("b"), settled("a"), settled("b"))
    assert closing(tally, {EntryState.ACCEPTED: 3}) == [
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
    tally = tally_of(plan(1), started("a"), settled("a"), RunLimited(held_s=held))
    assert closing(tally, {EntryState.ACCEPTED: 1})[1] == (
        "What limited the run: --bandwidth (1 min 40 s), the server's pauses (12 s), your pause (1.0 s)."
    )


def test_refusals_by_chance_are_told() -> None:
    """A share that is refused whatever the load is named, and that it slowed nothing down."""
    tally = tally_of(plan(1), started("a"), settled("a"), RunLimited(held_s={}, chance_share=0.0112))
    assert closing(tally, {EntryState.ACCEPTED: 1})[1] == (
        "1.1 % of requests refused whatever our rate; not slowing down for them."
    )


def test_a_job_that_was_done_before_has_nothing_to_do() -> None:
    """The same command after full success says so."""
    lines = closing(tally_of(plan(2, settled_count=2)), {EntryState.ACCEPTED: 2}, results_path=None)
    assert lines == [
        "Nothing to do: all 2 entries were accepted before.",
        "",
        "Ledger: m.ledger.db",
        "Exit code 0: every entry of the job is accepted.",
    ]
    assert closing(tally_of(plan(1, settled_count=1)), {EntryState.ACCEPTED: 1})[0] == (
        "Nothing to do: the only entry was accepted before."
    )


def test_what_was_only_compared_is_not_told_as_sent() -> None:
    """Touched files with their old content: nothing was sent, and there is no rate of it."""
    unchanged = [replace(settled(path), unchanged=True) for path in "abc"]
    assert (
        closing(tally_of(plan(3), *unchanged), {EntryState.ACCEPTED: 3})[0]
        == "3 unchanged, nothing was sent."
    )
    assert closing(tally_of(plan(4), *unchanged), {EntryState.ACCEPTED: 4})[:2] == [
        "3 unchanged, nothing was sent.",
        "Accepted before: 1 entry.",
    ]
    both = closing(tally_of(plan(4), *unchanged, started("d"), settled("d")), {EntryState.ACCEPTED: 4})
    assert both[:2] == [
        "Accepted 1 of 4 entries in 10 s: 1.0 MB, 100.0 kB/s on average.",
        "Unchanged, not sent: 3 entries.",
    ]


def test_what_was_not_compared_is_told_with_the_way_to_resume() -> None:
    """The entry is accepted, and yet there was something to do."""
    lines = closing_lines(
        tally_of(plan(1)), {EntryState.ACCEPTED: 1}, stop=INTERRUPT, status=ExitStatus.INTERRUPTED, elapsed_s=1.0,
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
    lines = closing(
        tally_of(plan(1), started("a"), settled("a")),
        {EntryState.ACCEPTED: 1},
        dropped=Dropped(entry_count=3),
    )
    assert lines[2:5] == [
        "3 entries of the ledger are not in this manifest (dropped). To see them, and to delete their files:",
        "    bulk-upload ledger export m.ledger.db --all",
        "    bulk-upload undo m.ledger.db --only dropped",
    ]


def test_what_has_no_files_is_not_offered_to_undo() -> None:
    """An entry that was only invalid has nothing at the server; files of a folder are in no manifest."""
    dropped = Dropped(entry_count=1, has_files=False, in_folder=True)
    lines = closing(tally_of(plan(1), started("a"), settled("a")), {EntryState.ACCEPTED: 1}, dropped=dropped)
    assert lines[2:5] == [
        "1 entry of the ledger is not among these files (dropped). To see them:",
        "    bulk-upload ledger export m.ledger.db --all",
        "",
    ]


def test_what_options_left_out_is_not_called_dropped_only() -> None:
    """Files that --include or --exclude leaves out are still wanted, maybe: the summary that offers to delete says so."""
    lines = closing(
        tally_of(plan(1), started("a"), settled("a")),
        {EntryState.ACCEPTED: 1},
        dropped=Dropped(entry_count=1, is_selected=True),
    )
    assert " ".join(lines[2:4]).startswith(
        "1 entry of the ledger is not in this manifest (dropped), or left out by --include or --exclude. "
        "To see them, and to delete their files:"
    )


def test_an_empty_manifest_has_nothing_to_do() -> None:
    """No entries is a fact worth a sentence."""
    assert closing(tally_of(plan(0)), {})[0] == "Nothing to do: the manifest has no entries."


def test_a_stop_says_why_and_what_next() -> None:
    """The reason and the hint stand before the details, and the same command goes on."""
    tally = tally_of(started("a"), settled("a"))
    lines = closing(tally, {EntryState.ACCEPTED: 1, EntryState.PENDING: 9}, stop=INTERRUPT)
    begin = lines.index("Stopped: Ctrl-C.")
    assert lines[begin + 1] == "  nothing was lost"
    assert "9 entries not finished." in lines
    assert lines[-3:-1] == ["Run the same command to resume:", f"  {COMMAND}"]
    assert lines[-1].startswith("Exit code 130: ")


def test_what_the_verdict_and_the_command_say_is_not_said_again() -> None:
    """A signal is in the verdict, and the command to run again stands above it."""
    tally = tally_of(started("a"), settled("a"))
    states = {EntryState.ACCEPTED: 1, EntryState.PENDING: 9}
    signal = Stop(status=ExitStatus.INTERRUPTED, reason="received SIGINT", hint=RERUN_HINT)
    lines = closing(tally, states, stop=signal)
    assert not any("Stopped" in line or RERUN_HINT in line for line in lines)
    assert lines[-3] == "Run the same command to resume:"
    full = closing(tally, states, stop=replace(signal, reason="the disk is full"))
    assert "Stopped: the disk is full." in full
    assert not any(RERUN_HINT in line for line in full)


def test_a_terminal_gets_a_command_that_is_too_long_on_a_line_of_its_own() -> None:
    """It is not torn at its last letter; a log has it in one line, as scripts look for it."""
    tally = tally_of(started("a"), settled("a", EntryState.REJECTED, reason="HTTP 400"))
    path = f"{'datasets/' * 6}m.ledger.db"
    states = {EntryState.REJECTED: 1}
    torn = f"For an HTML report: bulk-upload report {path}"
    assert torn in closing(tally, states, columns=80, ledger_path=path)
    lines = closing(tally, states, columns=80, rows=24, ledger_path=path)
    place = lines.index("For an HTML report:")
    assert lines[place + 1] == f"  bulk-upload report {path}"
    assert f"Ledger: {path}" in lines


def test_a_stop_that_came_too_late_is_not_mentioned() -> None:
    """A run that settled everything before it was stopped is a run that finished."""
    lines = closing(tally_of(settled("a")), {EntryState.ACCEPTED: 1}, stop=INTERRUPT)
    assert not any(line.startswith("Stopped") for line in lines)


def test_effort_is_told_only_where_there_was_some() -> None:
    """Retries, throttling, adopted files and unconfirmed sizes are worth a sentence each."""
    tally = tally_of(
        started("a"),
        ended("a", Throttled(http_status=429, retry_after_s=1.0), retry_in_s=0.0),
        settled("a", receipt=receipt("a", obtained=ReceiptOrigin.RECONCILED)),
        settled("b", receipt=receipt("b", size_confirmed=False)),
    )
    assert closing(tally, {EntryState.ACCEPTED: 2})[1:3] == [
        "1 retry. The server throttled 1 attempt. 1 entry accepted through the server's list. 1 entry",
        "accepted without the server confirming the size.",
    ]


def test_what_was_compared_is_told() -> None:
    """Reading back costs time and traffic: how many files, and how much."""
    compared = ContentCompared(path="a", file_id="f", same=True, by=ComparedBy.WHOLE, read_bytes=180_000_000)
    lines = closing(tally_of(compared, compared, settled("a")), {EntryState.ACCEPTED: 1})
    assert "Compared 2 files at the server by content, 360.0 MB read back." in lines


@pytest.mark.parametrize("columns", [80, 100])
def test_sentences_fit_and_paths_and_commands_stay_whole(columns: int) -> None:
    """Only what a person may want to copy is longer than the terminal is wide."""
    path = "folder with spaces/" * 12 + "a.jsonl"
    tally = tally_of(
        settled(path, EntryState.REJECTED, reason="HTTP 422: " + "words " * 40),
        settled("b", EntryState.IN_DOUBT, reason="lost " * 40),
    )
    states = {EntryState.REJECTED: 1, EntryState.IN_DOUBT: 1, EntryState.PENDING: 1}
    lines = closing(tally, states, stop=INTERRUPT, ledger_path=path, results_path=path, columns=columns)
    assert f"      {path}" in lines
    assert f"Ledger: {path}" in lines
    assert all(len(line) <= columns for line in lines if path not in line)


def test_names_and_reasons_cannot_steer_a_terminal() -> None:
    """Every line is printable, whatever files and servers are called."""
    evil = "a\x1b[2J\udcff\u202e\n"
    tally = tally_of(settled(evil, EntryState.REJECTED, reason=evil))
    stop = Stop(status=ExitStatus.UNFINISHED, reason=evil, hint=evil)
    lines = closing(
        tally,
        {EntryState.REJECTED: 1, EntryState.PENDING: 1, EntryState.IN_DOUBT: 1},
        stop=stop,
        ledger_path=evil,
        results_path=evil,
    )
    assert all(line.isprintable() for line in lines)


def test_a_run_of_no_time_has_no_rate() -> None:
    """A rate over an instant would be a made-up number."""
    assert closing(tally_of(settled("a")), {EntryState.ACCEPTED: 1}, elapsed_s=0.0)[0] == (
        f"Accepted 1 of 1 entry in 0.0 s: {FILE_BYTES / 1e6} MB."
    )


def test_what_the_server_changed_is_told_once() -> None:
    """Entries that were taken for another purpose or under another name are counted in a line each, in doubt or not."""
    purpose = Altered(field=AlteredField.PURPOSE, sent="fine-tune", stored="fine_tune")
    names = [Altered(field=AlteredField.NAME, sent=f"f {no}", stored=f"f_{no}") for no in range(3)]
    tally = tally_of(
        plan(3),
        *(replace(settled(str(no)), altered=(purpose,)) for no in range(2)),
        *(replace(settled(one.sent), altered=(one,)) for one in names),
        replace(settled("d", EntryState.IN_DOUBT, reason="odd"), altered=(purpose,)),
    )
    lines = closing(tally, {EntryState.ACCEPTED: 5, EntryState.IN_DOUBT: 1})
    assert "3 entries: the server has them under another name: 'f_0' for 'f 0' and the like." in lines
    assert "3 entries: the server has them for another purpose: 'fine_tune' for 'fine-tune'." in lines
    only = tally_of(plan(1), replace(settled("a"), altered=(purpose,)))
    assert "1 entry: the server has it for another purpose: 'fine_tune' for 'fine-tune'." in closing(
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
        return closing(tally_of(plan(1), settled("a"), checked), {EntryState.ACCEPTED: 1})

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
    tally = tally_of(
        *(
            settled(f"{word}/{number}", state, reason=word)
            for word in words
            for number in range(14)
            for state in (EntryState.REJECTED, EntryState.INVALID)
        )
    )
    all_lines = closing(tally, states, columns=80)
    lines = closing(tally, states, columns=80, rows=23)
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
    assert closing(tally, states, columns=80, rows=200) == all_lines


def test_the_lines_of_the_end_have_marks_and_colours_by_their_state() -> None:
    """Green for a good end, red for another one; the marks of failures are those of the counters."""
    good = closing(tally_of(plan(1), settled("a")), {EntryState.ACCEPTED: 1})[-1]
    bad = closing(tally_of(settled("a", EntryState.INVALID, reason="why")), {EntryState.INVALID: 1})
    assert isinstance(good, SummaryLine)
    assert (good.mark, good.style) == ("\u2713", "bold green")
    marks = {
        str(line).split(" ")[0]: (line.mark, line.style)
        for line in bad
        if isinstance(line, SummaryLine) and line.mark
    }
    assert marks == {"1": ("!", "magenta"), "Exit": ("\u2717", "bold red")}
