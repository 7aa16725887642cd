"""What commands write: where they refuse to, for whom it is, and what a run says when its results are stale."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import Ended, environment, run_here, run_shell

ALL_OUTPUTS = ("--log-file", "run.log", "--metrics-file", "run.prom", "--results", "run.jsonl")


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """The umask of the process for a while."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """The modes of the files beneath a folder that are not of the desk."""
    return {
        str(one.relative_to(folder)): stat.S_IMODE(one.stat().st_mode)
        for one in folder.rglob("*")
        if one.is_file() and not one.name.startswith("good") and one.parent.name != "data"
    }


def write_everything(server: str, *options: str) -> None:
    """Let every command write what it can."""
    bad = Path("bad.jsonl")
    if not bad.exists():
        bad.write_text('{"text": "good"}\n{"text": 1}\n')
    with umask(0o022):
        for command in (
            ("run", "good.jsonl", "--ledger", "l.db", *ALL_OUTPUTS, "--base-url", server),
            ("ledger", "export", "l.db", "-o", "export.csv"),
            ("report", "l.db"),
            ("scan", "data", "--map", "*.jsonl=pre-train", "-o", "scanned.jsonl"),
        ):
            ended = run_here(*command, *options)
            assert ended.status == 0, ended.text
        ended = run_here(
            "validate", "bad.jsonl", "--purpose", "pre-train", "--quarantine", "q/deep", *options
        )
        assert ended.status == ExitStatus.INVALID_INPUT
    bad.chmod(0o600)


def test_files_follow_the_umask_and_private_ones_are_for_their_owner(desk: Path, server: str) -> None:
    """`--private` closes whatever a command writes to others, new files and those of an earlier run."""
    write_everything(server)
    found = modes(desk)
    assert found.pop("bad.jsonl") == 0o600
    assert set(found) >= {
        "l.db",
        "l.db.lock",
        "l.results.csv",
        "l.report.html",
        "export.csv",
        "scanned.jsonl",
    }
    assert set(found) >= {"run.log", "run.prom", "run.jsonl", "q/deep/bad.jsonl", "q/deep/bad.jsonl.bad"}
    assert set(found.values()) == {0o644}
    write_everything(server, "--private")
    closed = modes(desk)
    assert set(closed) == {*found, "bad.jsonl"}
    assert set(closed.values()) == {0o600}


def test_private_may_stand_in_the_configuration(desk: Path, server: str) -> None:
    """A folder of secret work says so once."""
    (desk / "bulk-upload.toml").write_text("[defaults]\nprivate = true\n")
    with umask(0o022):
        assert run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server).status == 0
    assert modes(desk).keys() >= {"l.db", "l.db.lock", "l.results.csv"}
    assert {mode for name, mode in modes(desk).items() if name.startswith("l.")} == {0o600}


TRAPS = {
    "results": ("run.jsonl", ("--results", "anybodys/run.jsonl")),
    "log": ("run.log", ("--log-file", "anybodys/run.log")),
    "metrics": ("run.prom", ("--metrics-file", "anybodys/run.prom")),
    "ledger": ("l.db", ("--ledger", "anybodys/l.db")),
    "lock": ("l.db.lock", ("--ledger", "anybodys/l.db")),
}


@pytest.mark.parametrize("what", TRAPS)
def test_a_run_refuses_a_link_where_anybody_may_lay_one(desk: Path, server: str, what: str) -> None:
    """Nothing is sent, and what the link leads to is not touched."""
    name, options = TRAPS[what]
    _lay_trap(desk, name)
    ended = run_here("run", "good.jsonl", *options, SEEKR_BASE_URL=server)
    assert ended.status in (ExitStatus.USAGE, ExitStatus.LEDGER_UNUSABLE)
    _assert_trap_is_told(ended, desk)
    assert "hint: " in ended.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("ledger", "export", "l.db", "-o", "anybodys/out"),
        ("report", "l.db", "-o", "anybodys/out"),
        ("scan", "data", "--map", "*.jsonl=pre-train", "-o", "anybodys/out"),
        ("validate", "bad.jsonl", "--purpose", "pre-train", "--quarantine", "anybodys/out"),
    ],
)
def test_other_commands_refuse_it_too(desk: Path, server: str, command: tuple[str, ...]) -> None:
    """Every file of every command is written in the one way."""
    assert run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server).status == 0
    (desk / "bad.jsonl").write_text('{"text": 1}\n')
    _lay_trap(desk, "out")
    ended = run_here(*command)
    assert ended.status == ExitStatus.USAGE
    _assert_trap_is_told(ended, desk)


def test_a_mapping_that_is_a_trap_is_not_written(desk: Path, server: str) -> None:
    """The run is done by then, and says that its results are not there."""
    _lay_trap(desk, "l.results.csv")
    ended = run_here("run", "good.jsonl", "--ledger", "anybodys/l.db", SEEKR_BASE_URL=server)
    assert ended.status == ExitStatus.RESULTS_STALE
    _assert_trap_is_told(ended, desk)


def _lay_trap(desk: Path, name: str) -> None:
    (desk / "anybodys").mkdir()
    (desk / "anybodys").chmod(0o1777)
    (desk / "precious").write_text('{"path": "a", "purpose": "pre-train"}\n')
    (desk / "anybodys" / name).symlink_to(desk / "precious")


def _assert_trap_is_told(ended: Ended, desk: Path) -> None:
    assert "symbolic link" in ended.stderr
    assert (desk / "precious").read_text() == '{"path": "a", "purpose": "pre-train"}\n'


NO_PLACE = "has no place for its ledger"
STREAMS = {
    "file": "bulk-upload run /dev/stdin {options} < good.jsonl",
    "pipe": "cat good.jsonl | bulk-upload run /dev/stdin {options}",
    "number": "cat good.jsonl | bulk-upload run /dev/fd/0 {options}",
    "proc": "cat good.jsonl | bulk-upload run /proc/self/fd/0 {options}",
    "other number": "bulk-upload run /dev/fd/7 {options} 7< good.jsonl",
    "substitution": "bulk-upload run <(cat good.jsonl) {options}",
    "link": "ln -s /dev/stdin m.jsonl; bulk-upload run m.jsonl {options} < good.jsonl",
    "named pipe": "mkfifo p.jsonl; cat good.jsonl > p.jsonl & bulk-upload run p.jsonl {options}; kill $! 2>&-",
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_manifest_from_a_stream_has_no_place_for_its_ledger(desk: Path, server: str, name: str) -> None:
    """Whatever a stream is called, `--ledger` is asked for; with it, paths start from the current folder, as with `-`.

    Nothing is made in /dev: that is gone with the container.
    """
    if name == "proc" and not os.path.exists("/proc/self/fd"):
        pytest.skip("there is no /proc")
    before = os.listdir("/dev")
    script = STREAMS[name]
    refused = run_shell(f"{script.format(options='')}", SEEKR_BASE_URL=server)
    assert NO_PLACE in refused.stderr
    assert "pass --ledger FILE" in refused.stderr
    (desk / "p.jsonl").unlink(missing_ok=True)
    (desk / "m.jsonl").unlink(missing_ok=True)
    ended = run_shell(script.format(options="--ledger l.db"), SEEKR_BASE_URL=server)
    assert "Accepted 2 of 2 entries" in ended.stderr
    assert os.listdir("/dev") == before
    assert {one.name for one in desk.iterdir()} >= {"l.db", "l.db.lock", "l.results.csv"}


@pytest.mark.parametrize("command", ["plan", "doctor"])
def test_other_commands_know_a_stream_as_well(desk: Path, server: str, command: str) -> None:
    """What asks where the ledger of a manifest lies gets the same answer."""
    ended = run_shell(f"bulk-upload {command} /dev/stdin < good.jsonl", SEEKR_BASE_URL=server)
    assert ended.status == ExitStatus.USAGE
    assert NO_PLACE in ended.text


def test_validate_reads_a_stream_once(desk: Path) -> None:
    """With --purpose a stream is taken for a manifest without a look into it: what was read would be gone."""
    ended = run_shell("bulk-upload validate <(cat good.jsonl) --purpose pre-train")
    assert ended.status == 0, ended.stderr
    assert "2 files" in ended.stderr


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "-"])
def test_exports_go_to_standard_output_under_any_name(desk: Path, server: str, name: str) -> None:
    """The shell may send it to a file: what that holds is added to, not replaced."""
    assert run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server).status == 0
    script = f"echo kept > out; bulk-upload ledger export l.db -o {name} >> out 2>&-"
    assert run_shell(script).status == 0
    lines = (desk / "out").read_text().splitlines()
    assert lines[0] == "kept"
    assert lines[1:] == (desk / "l.results.csv").read_text().splitlines()


@pytest.mark.parametrize("older", [True, False])
def test_a_mapping_that_cannot_be_replaced_is_no_success(
    desk: Path, server: str, monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    """A script that goes on with the results of an earlier run would use ids that are superseded."""
    if older:
        (desk / "l.results.csv").write_text("old\n")
    rename = os.replace

    def replace(source: str, target: str) -> None:
        if target.endswith(".results.csv"):
            raise PermissionError(1, "Operation not permitted")
        rename(source, target)

    monkeypatch.setattr(os, "replace", replace)
    options = (
        "--ledger",
        "l.db",
        "--log-format",
        "json",
        "--log-file",
        "run.log",
        "--metrics-file",
        "run.prom",
    )
    ended = run_here("run", "good.jsonl", *options, "--quiet", SEEKR_BASE_URL=server)
    assert ended.status == int(ExitStatus.RESULTS_STALE)
    assert "l.results.csv cannot be written" in ended.stderr
    assert ("is stale: it is from an earlier run" in ended.stderr) == older
    assert "Operation not permitted" in ended.stderr
    assert "bulk-upload ledger export l.db -o FILE" in ended.stderr
    assert json.loads((desk / "run.log").read_text().splitlines()[-1])["exit_code"] == 8
    assert 'bulk_upload_exit_code{ledger="' in (desk / "run.prom").read_text()
    assert "last_success" not in (desk / "run.prom").read_text()
    monkeypatch.undo()
    monkeypatch.chdir(desk)
    assert run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server).status == 0


def test_entries_that_failed_count_more_than_stale_results(desk: Path, server: str) -> None:
    """The verdict on entries comes first; the file is told of all the same."""
    (desk / "l.results.csv").mkdir()
    (desk / "good.jsonl").write_text('{"path": "gone.jsonl", "purpose": "pre-train"}\n')
    (desk / "gone.jsonl").write_text('{"text": 1}\n')
    ended = run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server)
    assert ended.status == ExitStatus.SOME_FAILED
    assert "l.results.csv cannot be written" in ended.stderr


def test_results_as_they_come_are_as_safe_as_the_mapping(desk: Path, server: str) -> None:
    """A CSV file of results has the same cells, whichever way it came about: none starts a formula."""
    names = [
        "=1+1.jsonl",
        "+1.jsonl",
        "-1.jsonl",
        "@a.jsonl",
        "\t=1.jsonl",
        "\r=1.jsonl",
        "a;=1.jsonl",
        'a",=1.jsonl',
    ]
    lines = []
    for number, name in enumerate(names):
        (desk / name).write_text(f'{{"text": "{number}"}}\n')
        lines.append(json.dumps({"path": name, "purpose": "pre-train"}))
    (desk / "m.jsonl").write_text("\n".join(lines))
    ended = run_here("run", "m.jsonl", "--ledger", "l.db", "--results", "r.CSV", SEEKR_BASE_URL=server)
    assert ended.status == 0, ended.text
    assert run_here("ledger", "export", "l.db", "-o", "export.csv").status == 0
    tables = []
    for name in ("l.results.csv", "export.csv", "r.CSV"):
        with (desk / name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert not [cell for row in rows for cell in row.values() if cell[:1] in tuple("=+-@\t\r")]
        tables.append(sorted((row["path"], row["file_id"], row["sent_name"]) for row in rows))
    assert tables[0] == tables[1] == tables[2]
    assert len(tables[0]) == len(names)


def test_rows_that_are_not_read_to_their_end_leave_no_traceback(desk: Path, server: str) -> None:
    """Writing that fails on the way through a ledger is one sentence: no generator complains when it is collected."""
    lines = []
    for number in range(60):
        (desk / f"{number}.jsonl").write_text(f'{{"text": "{number}"}}\n')
        lines.append(json.dumps({"path": f"{number}.jsonl", "purpose": "pre-train"}))
    (desk / "m.jsonl").write_text("\n".join(lines))
    assert run_here("run", "m.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server).status == 0
    program = """
import sys
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.report.files.rows import write_csv
class Full:
    def write(self, data):
        if b"accepted" in data:
            raise OSError(28, "No space left on device")
try:
    with LedgerReader("l.db") as reader:
        write_csv(reader.rows(), Full())
except OSError as error:
    print(error.strerror)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment({}),
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "No space left on device\n", "")
