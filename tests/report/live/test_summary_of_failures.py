"""What the last lines say of entries that were not accepted: why, and what to do next."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bulk_upload.core.model import EntryState
from bulk_upload.core.report.tally import Tally
from bulk_upload.report.live.verdict import DataCommands
from tests.report.live.closing_text import COMMAND, closing, tally_of
from tests.report.scripted_run import LOST, ended, plan, settled, started


def test_failures_are_clustered_with_examples_and_the_command_that_retries_them() -> None:
    """A thousand files with one cause are one paragraph: count, cause, three names, remedy, command."""
    tally = tally_of(
        *(
            settled(f"d/{n}.jsonl", EntryState.REJECTED, reason=f"HTTP 400: line {n} is bad")
            for n in range(1000)
        ),
        settled("big", EntryState.REJECTED, reason="HTTP 413: too large"),
    )
    lines = closing(tally, {EntryState.REJECTED: 1001})
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
        lines = closing(Tally(), states, data_commands=commands)
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
    assert "Next, fix these files and send the changed ones:" in closing(
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
    now = closing(tally_of(settled("a", state, reason="why")), {state: 1})
    earlier = closing(tally_of(plan(5)), {state: 1, EntryState.ACCEPTED: 4})
    assert f"--retry {word} " in " ".join(now)
    assert f"--retry {word} " in " ".join(earlier)
    assert earlier[0] == "Nothing was sent. 4 of 5 entries were accepted before."


def test_many_reasons_are_summed_up() -> None:
    """After five causes the rest is one line, so that the closing fits a screen."""
    words = ("one", "two", "three", "four", "five", "six", "seven")
    tally = tally_of(*(settled(word, EntryState.REJECTED, reason=word) for word in words))
    assert "  2 for 2 other reasons" in closing(tally, {EntryState.REJECTED: 7})


def test_failures_of_earlier_runs_are_told_apart() -> None:
    """The counts of the ledger add up even where this run saw only a part."""
    tally = tally_of(settled("a", EntryState.INVALID, reason="why"))
    assert "  4 in earlier runs" in closing(tally, {EntryState.INVALID: 5})


def test_in_doubt_names_both_ways_out() -> None:
    """The next run looks at the server; what the list cannot tell is shown with the ways out."""
    tally = tally_of(
        started("a"), ended("a", LOST), settled("a", EntryState.IN_DOUBT, reason="the answer was lost")
    )
    lines = closing(tally, {EntryState.IN_DOUBT: 1})
    assert "1 entry in doubt:" in lines
    assert f"  {COMMAND}" in lines
    assert any(line.startswith("    bulk-upload resolve ") for line in lines)
    assert lines[-1].startswith("Exit code 4: ")


def test_in_doubt_names_one_way_out_where_no_list_can_tell() -> None:
    """The next run settles nothing there, so it is not advised."""
    tally = tally_of(started("a"), settled("a", EntryState.IN_DOUBT, reason="the answer was lost"))
    lines = closing(tally, {EntryState.IN_DOUBT: 1}, list_decides=False, columns=1000)
    assert not any("next run" in line or line.strip() == COMMAND for line in lines)
    assert any("so they stay in doubt until you settle them." in line for line in lines)
    assert lines[-3:-1] == ["Next, settle what is in doubt:", "  bulk-upload resolve m.ledger.db"]


def test_causes_that_the_ledger_no_longer_holds_are_not_shown() -> None:
    """An entry that was rejected and then reopened is judged by where it stands at the end."""
    tally = tally_of(settled("a", EntryState.REJECTED, reason="HTTP 403"))
    lines = closing(tally, {EntryState.PENDING: 1})
    assert not any("rejected" in line for line in lines)


def test_what_became_of_doubts_is_told() -> None:
    """Whoever was told that an entry is in doubt learns that it was not on the server, and that it was sent again."""
    again = replace(started("a"), was_absent=True)
    lines = closing(tally_of(plan(1), again, settled("a")), {EntryState.ACCEPTED: 1})
    assert "1 entry in doubt was not on the server: sent again." in lines
