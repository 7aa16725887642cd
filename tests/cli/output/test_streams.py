"""Data goes to standard output and nothing else does; a reader that leaves and a full disk are no bugs."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import shlex
import subprocess
import sys
import termios
import threading
import tty
from contextlib import suppress
from pathlib import Path

import pytest

from bulk_upload.cli.main import READER_LEFT
from bulk_upload.cli.output.streams import told_columns, told_rows
from bulk_upload.core.report.export import COLUMNS
from bulk_upload.core.text.printable import COLUMNS_MAX
from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import environment, run_here, run_shell
from tests.processes.forked import shell_words

FULL = "/dev/full"
needs_full_device = pytest.mark.skipif(not os.path.exists(FULL), reason="there is no /dev/full here")
PATHS = ["data/a.jsonl", "data/b.jsonl"]


@pytest.fixture
def done(desk: Path, server: str) -> Path:
    """A desk with the ledger of a finished job, `l.db`."""
    assert run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server).status == 0
    return desk


def test_results_on_stdout_are_json_lines_alone(desk: Path, server: str) -> None:
    """`run --results -` prints one JSON line for each entry on stdout; everything for people is on stderr."""
    ended = run_shell("bulk-upload run good.csv --results -", SEEKR_BASE_URL=server)
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.status == 0
    assert sorted(row["path"] for row in rows) == PATHS
    assert all(tuple(row) == COLUMNS for row in rows)
    assert {row["status"] for row in rows} == {"accepted"}
    assert "plan: 2 entries" in ended.stderr
    assert "Accepted 2 of 2 entries" in ended.stderr


def test_results_in_a_file_and_none(desk: Path, server: str) -> None:
    """`--results FILE` adds lines to a file, also beside the table at the end; `none` writes neither."""
    assert run_here("run", "good.jsonl", "--results", "r.jsonl", SEEKR_BASE_URL=server).status == 0
    assert len((desk / "r.jsonl").read_bytes().splitlines()) == 2
    assert len(list(desk.glob("good@*.results.csv"))) == 1
    assert (
        run_here("run", "good.csv", "--ledger", "l.db", "--results", "none", SEEKR_BASE_URL=server).status
        == 0
    )
    assert not (desk / "l.results.csv").exists()


def test_a_run_survives_a_reader_that_leaves(desk: Path, server: str) -> None:
    """`run --results - | head` uploads everything, says that lines are missing, and is no success to a script."""
    # The reader is gone long before Python has started: the pipe breaks at the first byte.
    script = "(bulk-upload run good.jsonl --results -; echo $? >code) | true"
    ended = run_shell(script, SEEKR_BASE_URL=server)
    assert int((desk / "code").read_text()) == ExitStatus.RESULTS_STALE
    assert "results are missing from --results -: the reader closed the pipe" in ended.stderr
    assert "bulk-upload ledger export" in ended.stderr
    assert "Accepted 2 of 2 entries" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", ["ledger show l.db", "ledger export l.db"])
def test_a_reader_that_has_left(command: str, done: Path) -> None:
    """Where nobody reads the answer any more, the command ends quietly, as the shell shows it for any tool."""
    # The reader is gone long before Python has started: the pipe breaks at the first byte.
    script = f"(bulk-upload {command}; echo $? >code) | true"
    ended = run_shell(script)
    assert int((done / "code").read_text()) == READER_LEFT == 141
    assert "Traceback" not in ended.stderr


@needs_full_device
@pytest.mark.parametrize("command", ["ledger export l.db", "plan good.jsonl --ledger l.db --list"])
def test_an_answer_that_does_not_fit_on_the_disk(command: str, done: Path, server: str) -> None:
    """Lost output is never a success: it is told in one sentence, without a traceback."""
    ended = run_shell(f"bulk-upload {command} >{FULL}", SEEKR_BASE_URL=server)
    assert ended.status == ExitStatus.USAGE
    assert "cannot write standard output: No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr


@needs_full_device
def test_results_that_do_not_fit_on_the_disk(desk: Path, server: str) -> None:
    """A run goes on when its results cannot be written, and says at the end where they can be had."""
    ended = run_shell(f"bulk-upload run good.jsonl --results - >{FULL}", SEEKR_BASE_URL=server)
    assert ended.status == ExitStatus.RESULTS_STALE
    assert "results are missing from --results -: " in ended.stderr
    assert "No space left on device" in ended.stderr
    assert "bulk-upload ledger export" in ended.stderr


@needs_full_device
def test_a_log_that_does_not_fit_on_the_disk(desk: Path, server: str) -> None:
    """A run whose words cannot be written is still judged by its entries alone."""
    ended = run_shell(f"bulk-upload run good.jsonl --ledger l.db 2>{FULL}", SEEKR_BASE_URL=server)
    assert ended.status == 0
    assert (desk / "l.results.csv").read_text().count("accepted") == 2


def test_streams_that_are_closed(done: Path) -> None:
    """A command that is started without stdin, stdout and stderr does its work."""
    assert run_shell("bulk-upload ledger export l.db -o x.csv <&- >&- 2>&-").status == 0
    assert (done / "x.csv").read_text().count("accepted") == 2
    assert run_shell("bulk-upload status l.db >&-").status == 0


def test_a_narrow_encoding(desk: Path) -> None:
    """What the encoding of stdout cannot show is spelled out; it does not end the command."""
    (desk / "übung.jsonl").write_text("{}\n")
    (desk / "m.jsonl").write_text('{"path": "übung.jsonl", "purpose": "pre-train"}\n')
    run_here("run", "m.jsonl", "--ledger", "l.db", "--max-attempts", "1")
    shown = run_shell("bulk-upload ledger show l.db", PYTHONIOENCODING="cp437:strict", LC_ALL="C")
    assert shown.status == 0
    assert "übung.jsonl" in shown.stdout.decode("cp437")


def test_quiet(desk: Path, fresh_server: str) -> None:
    """`--quiet` prints nothing when all goes well, and all that matters when not."""
    ended = run_here("run", "good.jsonl", "--quiet", SEEKR_BASE_URL=fresh_server)
    assert (ended.status, ended.text) == (0, "")
    ended = run_here("run", "good.jsonl", "--quiet", "--ledger", "lost.db", SEEKR_BASE_URL=fresh_server)
    assert ended.status == 0
    assert ended.text.startswith("bulk-upload: warning: this ledger is new, but the server has files")
    ended = run_here("run", "good.jsonl", "--quiet", "--max-attempts", "1")
    assert ended.status == ExitStatus.UNFINISHED
    assert "2 entries not finished" in ended.stderr


@pytest.mark.parametrize(
    "how",
    [
        "bulk-upload", "trap '' HUP; bulk-upload", f"nohup {sys.executable} -m bulk_upload", "TERM=xterm-256color CI=true bulk-upload",
        "FORCE_COLOR=1 CLICOLOR_FORCE=1 TTY_COMPATIBLE=1 bulk-upload",
    ],
)  # fmt: skip
def test_a_log_has_no_stray_bytes(desk: Path, server: str, how: str) -> None:
    """Under nohup, in a pipe, or where CI keeps the output: plain lines, no colours, no marks, no cursor."""
    ended = run_shell(f"{how} run good.jsonl", SEEKR_BASE_URL=server, PYTHONIOENCODING="utf-8")
    assert ended.status == 0
    assert not [one for one in ended.stderr if one != "\n" and not " " <= one <= "~"]
    assert ended.stderr.splitlines()[-1] == "Exit code 0: every entry of the job is accepted."


def on_terminal(command: str, **environ: str) -> tuple[int, str]:
    """Run a command on a terminal of its own; return its exit code and all that it wrote there."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen(
        ["sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=environment(environ),
    ) as process:
        os.close(theirs)
        limit = threading.Timer(60, process.kill)
        limit.start()
        written = b""
        with suppress(OSError):  # the other end was closed
            while data := os.read(ours, 65536):
                written += data
        os.close(ours)
        limit.cancel()
        return process.wait(60), written.decode("utf-8")


@pytest.mark.parametrize("command", ["run good.jsonl --serve", "watch l.db"])
def test_a_dumb_terminal_gets_plain_lines(done: Path, server: str, command: str) -> None:
    """As CI systems and editors have them: no colours, no marks, nothing that moves a cursor."""
    environ = {"SEEKR_BASE_URL": server, "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}
    status, written = on_terminal(f"exec {shlex.join(shell_words())} {command}", **environ)
    assert status == 0, written
    assert not [one for one in written if one != "\n" and not " " <= one <= "~"]
    assert written.splitlines()[-1] == "Exit code 0: every entry of the job is accepted."


@pytest.mark.parametrize("command", ["run good.jsonl", "watch l.db"])
def test_a_terminal_is_left_as_it_was(done: Path, server: str, command: str) -> None:
    """Whatever was switched off for drawing (the cursor, the wrapping of lines) is on again, and all styles are over."""
    environ = {"SEEKR_BASE_URL": server, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    status, written = on_terminal(f"exec {shlex.join(shell_words())} {command}", **environ)
    assert status == 0, written
    for off, on in (("\x1b[?25l", "\x1b[?25h"), ("\x1b[?7l", "\x1b[?7h")):
        assert written.rfind(off) <= written.rfind(on)
    styles = re.findall(r"\x1b\[([0-9;]*)m", written)
    assert styles[-1] == "0"
    assert set(re.findall(r"\x1b\[[?0-9;]*([A-Za-z])", written)) <= set("mhlAK")


def test_a_terminal_without_a_size_is_as_wide_as_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says 0, as those that a program opens without more ado."""
    monkeypatch.setattr(
        "bulk_upload.cli.output.streams.os.get_terminal_size", lambda _: os.terminal_size((0, 0))
    )
    assert told_columns() == COLUMNS_MAX
    assert told_rows() is None


def test_manifest_on_stdin(desk: Path, server: str) -> None:
    """`run -` reads the manifest from a pipe; paths start from the current folder."""
    ended = run_shell("cat good.jsonl | bulk-upload run - --ledger l.db", SEEKR_BASE_URL=server)
    assert ended.status == 0
    assert "Accepted 2 of 2 entries" in ended.stderr


def test_a_scan_into_a_run_needs_no_option(desk: Path, server: str) -> None:
    """`scan … | run -` finds files and ledger from any folder, and again does nothing; so does what scan wrote to a file."""
    (desk / "away").mkdir()
    scan = "cd away; bulk-upload scan ../data --map '*.jsonl=pre-train'"
    ended = run_shell(f"{scan} | bulk-upload run -", SEEKR_BASE_URL=server)
    assert ended.status == 0, ended.stderr
    assert "Accepted 2 of 2 entries" in ended.stderr
    (ledger,) = (desk / "data").glob("manifest@127.0.0.1-*.ledger.db")
    ended = run_shell(
        f"{scan} >../m.jsonl; bulk-upload run - <../m.jsonl --root ../data", SEEKR_BASE_URL=server
    )
    assert "Nothing to do: all 2 entries were accepted before." in ended.stderr
    assert run_here("validate", "m.jsonl").stderr == "2 files, 3 lines, 50 B: 0 errors, 0 warnings\n"
    planned = run_here("plan", "m.jsonl", "--ledger", str(ledger), SEEKR_BASE_URL=server)
    assert b"2 settled" in planned.stdout


def test_a_header_in_a_file_leads_nowhere_else(desk: Path) -> None:
    """A manifest from someone else must not send any file: a root outside its folder has to be given by hand."""
    (desk / "away").mkdir()
    manifest = desk / "away" / "m.jsonl"
    manifest.write_text(
        '{"bulk_upload_manifest": 1, "root": "/etc"}\n{"path": "passwd", "purpose": "pre-train"}\n'
    )
    for command in ("run", "plan", "validate"):
        ended = run_here(command, "away/m.jsonl")
        assert ended.status == ExitStatus.USAGE
        assert "names a root outside its folder: /etc" in ended.stderr
        assert "pass --root /etc if you trust the manifest" in ended.stderr
    manifest.write_text(manifest.read_text().replace("/etc", "../data").replace("passwd", "a.jsonl"))
    assert run_here("plan", "away/m.jsonl", "--root", "data").status == 0


def test_export_as_csv(done: Path) -> None:
    """`ledger export` writes CSV with the documented columns, the same to a file and to standard output."""
    ended = run_here("ledger", "export", "l.db")
    rows = list(csv.DictReader(io.StringIO(ended.stdout.decode())))
    assert (ended.status, ended.stderr) == (0, "")
    assert [row["path"] for row in rows] == PATHS
    assert tuple(rows[0]) == COLUMNS
    told = run_here("ledger", "export", "l.db", "-o", "x.csv")
    assert (told.status, told.stdout, told.stderr) == (0, b"", "2 rows written to x.csv\n")
    assert (done / "x.csv").read_bytes() == ended.stdout == (done / "l.results.csv").read_bytes()


def test_export_as_json_lines(done: Path) -> None:
    """`ledger export --format jsonl` writes one object for each entry, the same to a file and standard output."""
    ended = run_here("ledger", "export", "l.db", "--format", "jsonl", "-o", "-")
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [row["path"] for row in rows] == PATHS
    assert all(tuple(row) == COLUMNS for row in rows)
    assert run_here("ledger", "export", "l.db", "--format", "jsonl", "-o", "x.jsonl").status == 0
    assert (done / "x.jsonl").read_bytes() == ended.stdout


def test_plan(desk: Path) -> None:
    """`plan` answers on standard output, names the ledger, and needs no key."""
    ended = run_here("plan", "good.jsonl", SEEKR_API_KEY=None)
    assert (ended.status, ended.stderr) == (0, "")
    assert ended.stdout.decode().splitlines() == [
        "2 entries, 50 B",
        "  2 to send (50 B)",
        "      2 x new",
        "Validation: 2 files (50 B) would be validated ahead of the uploads; `bulk-upload validate` does it now",
        f"Ledger: {os.path.realpath(desk)}/good@127.0.0.1-9.ledger.db (the run will create it)",
    ]
    assert not list(desk.glob("*.ledger.db*"))


def test_plan_of_a_finished_job(done: Path, server: str) -> None:
    """After a full success a plan says that nothing is left to do."""
    shown = run_here("plan", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server).stdout.decode()
    assert "  2 settled, nothing to do (50 B)\n      2 x accepted\n" in shown
    assert shown.endswith("Ledger: l.db\n")


def test_plan_list(desk: Path) -> None:
    """`plan --list` prints a JSON line for each entry, in the order of the manifest, and the rest on stderr."""
    ended = run_here("plan", "good.jsonl", "--list")
    assert [json.loads(line) for line in ended.stdout.splitlines()] == [
        {"path": path, "purpose": "pre-train", "step": "send", "reason": "new"} for path in PATHS
    ]
    assert "2 to send" in ended.stderr


def test_a_plan_refuses_what_a_run_refuses(desk: Path) -> None:
    """An address that a run would not send the key to is no plan either."""
    ended = run_here("plan", "good.jsonl", "--base-url", "http://flow.example")
    assert ended.status == ExitStatus.USAGE
    assert "--allow-plain-http" in ended.stderr
