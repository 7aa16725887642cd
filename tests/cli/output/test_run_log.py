"""--log-format, --log-file, -v and --quiet of a real run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bulk_upload.cli.output.streams import tell
from bulk_upload.exit_status import ExitStatus
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.cli.stage import KEY, NOWHERE, Ended, run_here, run_process

SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "log.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))


def records(text: str) -> list[dict[str, Any]]:
    """Every line as a record that keeps to the schema."""
    found = [json.loads(line) for line in text.splitlines()]
    for one in found:
        VALIDATOR.validate(one)
    return found


def events(text: str) -> list[str]:
    """The names of the records."""
    return [one["event"] for one in records(text)]


def test_json_lines_take_the_place_of_words(desk: Path, server: str) -> None:
    """Each line on stderr is a record: first the start, last the end with the verdict; stdout is free for data."""
    ended = run_process("run", "good.jsonl", "--log-format", "json", "--results", "-", SEEKR_BASE_URL=server)
    assert ended.status == 0
    told = events(ended.stderr)
    # The server may have files of other tests, and then says so.
    told = [one for one in told if one != "noticed"]
    assert (told[0], told[1], told[-1]) == ("run_started", "plan_made", "run_ended")
    assert sorted(told[2:-1]) == ["entry_settled", "entry_settled", "receipts_checked", "run_limited"]
    ids = {json.loads(line)["file_id"] for line in ended.stdout.splitlines()}
    settled = [one for one in records(ended.stderr) if one["event"] == "entry_settled"]
    assert {one["receipt"]["file_id"] for one in settled} == ids
    assert records(ended.stderr)[-1]["states"] == {"accepted": 2}


def test_storms_keep_to_the_schema(desk: Path) -> None:
    """Throttling, broken connections, lost answers and their reconciliation are records like any others."""
    faults = parse_faults("429:0,drop-stored,503:0,drop-mid,500,ok")
    stored = desk / "stored"
    stored.mkdir()
    with sandbox_in_thread(SandboxConfig(keys=(KEY,), faults=faults, directory=str(stored))) as sandbox:
        arguments = (
            "run",
            "good.jsonl",
            "--log-format",
            "json",
            "-vv",
            "--settle",
            "0s",
            "--concurrency",
            "1",
        )
        ended = run_here(*arguments, SEEKR_BASE_URL=sandbox.url)
    assert ended.status == 0, ended.stderr
    told = records(ended.stderr)
    kinds = {one["outcome"]["kind"] for one in told if one["event"] == "attempt_ended"}
    assert {"throttled", "in_doubt", "accepted"} <= kinds
    assert {"paused", "reconciling", "content_compared", "attempt_started"} <= {one["event"] for one in told}


def test_progress_is_told_now_and_then(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a run goes on a record says how it stands."""
    monkeypatch.setattr("bulk_upload.cli.run_job.PROGRESS_EVERY_S", 0.05)
    with sandbox_in_thread(SandboxConfig(keys=(KEY,), faults=parse_faults("answer-delay=0.4"))) as sandbox:
        ended = run_here("run", "good.jsonl", "--log-format", "json", SEEKR_BASE_URL=sandbox.url)
    told = [one for one in records(ended.stderr) if one["event"] == "progress"]
    assert ended.status == 0
    counts = [one["to_send_count"] for one in told]
    assert set(counts[counts.index(2) :]) == {2}, "once the plan is made"
    assert max(one["snapshot"]["in_flight"] for one in told) == 2


def test_a_log_beside_the_ledger(desk: Path, server: str) -> None:
    """`--log-file beside` leaves stderr to people and adds to what earlier runs logged."""
    arguments = (
        "run",
        "good.jsonl",
        "--ledger",
        "l.ledger.db",
        "--log-file",
        "beside",
        "--log-format",
        "json",
    )
    first = run_here(*arguments, SEEKR_BASE_URL=server)
    assert first.stderr.startswith(f"server: {server}\n")
    assert run_here(*arguments, SEEKR_BASE_URL=server).status == 0
    told = events((desk / "l.log").read_text())
    assert told.count("run_started") == told.count("run_ended") == 2
    assert told.count("entry_settled") == 2


def test_a_text_log(desk: Path, server: str) -> None:
    """Without --log-format the file has one text line a record."""
    assert run_here("run", "good.jsonl", "--log-file", "my.log", SEEKR_BASE_URL=server).status == 0
    lines = (desk / "my.log").read_text().splitlines()
    assert [line.split()[2] for line in (lines[0], lines[-1])] == ["run_started", "run_ended"]
    assert any(" path=data/a.jsonl " in line and " state=accepted " in line for line in lines)


def test_how_much_is_told(desk: Path, server: str) -> None:
    """-v adds accepted entries and retries, -vv every request; the log has levels to match."""
    plain = run_here("run", "good.jsonl", "--ledger", "a.db", SEEKR_BASE_URL=server).stderr
    more = run_here("run", "good.jsonl", "--ledger", "b.db", "-v", SEEKR_BASE_URL=server).stderr
    all_of_it = run_here("run", "good.jsonl", "--ledger", "c.db", "-vv", SEEKR_BASE_URL=server).stderr
    assert ("accepted: data/a.jsonl" in plain, "accepted: data/a.jsonl" in more) == (False, True)
    assert ("attempt 1: data/a.jsonl" in more, "attempt 1: data/a.jsonl" in all_of_it) == (False, True)
    for ledger, flags, wanted in (
        ("d.db", (), {"info"}),
        ("e.db", ("-v",), {"info", "debug"}),
        ("f.db", ("-vv",), {"info", "debug", "trace"}),
    ):
        arguments = ("run", "good.jsonl", "--ledger", ledger, "--log-format", "json", *flags)
        told = records(run_here(*arguments, SEEKR_BASE_URL=server).stderr)
        assert {one["level"] for one in told} == wanted


def test_quiet(desk: Path, fresh_server: str) -> None:
    """--quiet says nothing when all goes well, in words or records, and a file gets its log all the same."""
    quiet = ("run", "good.jsonl", "--quiet")
    assert run_here(*quiet, "--ledger", "a.db", "--log-file", "a.log", SEEKR_BASE_URL=fresh_server).text == ""
    assert "run_ended" in (desk / "a.log").read_text()
    as_json = (*quiet, "--log-format", "json")
    assert run_here(*as_json, "--ledger", "b.db", SEEKR_BASE_URL=fresh_server).text == ""
    ended = run_here(*as_json, "--ledger", "c.db", "--max-attempts", "1")
    assert ended.status == ExitStatus.UNFINISHED
    assert records(ended.stderr)[-1] | {"event": "run_ended", "exit_code": 5} == records(ended.stderr)[-1]


@pytest.mark.parametrize(
    ("arguments", "env", "code"),
    [
        (("--purpose", "nope"), {}, ExitStatus.USAGE),
        (("--ledger", "no/such/folder/l.db"), {}, ExitStatus.LEDGER_UNUSABLE),
        ((), {"SEEKR_API_KEY": None}, ExitStatus.USAGE),
    ],
)
def test_errors_are_records(
    desk: Path, arguments: tuple[str, ...], env: dict[str, str | None], code: ExitStatus
) -> None:
    """An error that ends the command is a record with its hint and exit code, on stderr or in the file."""
    ended = run_here("run", "good.jsonl", "--log-format", "json", *arguments, **env)
    last = records(ended.stderr)[-1]
    assert (ended.status, last["event"], last["exit_code"]) == (code, "failed", code)
    assert last["hint"]


def test_findings_are_in_the_record(desk: Path) -> None:
    """A manifest that is wrong is told with its lines."""
    (desk / "bad.jsonl").write_text('{"path": "nope.jsonl", "purpose": "pre-train"}\n{\n')
    ended = run_here("run", "bad.jsonl", "--log-format", "json")
    (last,) = [one for one in records(ended.stderr) if one["event"] == "failed"]
    assert ended.status == last["exit_code"] == ExitStatus.INVALID_INPUT
    assert sorted(one["line_no"] for one in last["findings"]) == [1, 2]
    assert last["finding_count"] == 2


def test_the_words_are_back_after_the_command(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Records are for the command that asked for them."""
    run_here("run", "good.jsonl", "--log-format", "json", "--max-attempts", "1")
    tell("nobody asked for records")
    assert capsys.readouterr().err == "nobody asked for records\n"
    assert run_here("plan", "nope.jsonl").stderr.startswith("bulk-upload: ")


def test_the_key_is_nowhere(desk: Path, server: str) -> None:
    """A key in a file name, which no run can know to avoid, is taken out of every record."""
    for name in (f"{KEY}.jsonl", f"x{KEY}x.jsonl"):
        (desk / "data" / name).write_text('{"text": "one"}\n')
    lines = [
        json.dumps({"path": f"data/{name}", "purpose": "pre-train"}) for name in os.listdir(desk / "data")
    ]
    (desk / "keys.jsonl").write_text("\n".join(lines))
    for form in ("json", "text"):
        arguments = (
            "run",
            "keys.jsonl",
            "--ledger",
            f"{form}.db",
            "-vv",
            "--log-format",
            form,
            "--log-file",
            "log",
        )
        assert run_here(*arguments, SEEKR_BASE_URL=server).status == 0
    ended = run_here(
        "run", "keys.jsonl", "--ledger", "c.db", "-vv", "--log-format", "json", SEEKR_BASE_URL=server
    )
    assert "[key].jsonl" in ended.stderr
    assert KEY not in ended.stderr
    assert KEY not in (desk / "log").read_text()


def test_names_that_are_not_utf8(desk: Path, server: str) -> None:
    """The bytes of a name on disk come back from the log."""
    name = b"caf\xe9\x1b[2J.jsonl"
    (desk / "data" / os.fsdecode(name)).write_text('{"text": "one"}\n')
    (desk / "odd.jsonl").write_text(json.dumps({"path": f"data/{os.fsdecode(name)}", "purpose": "pre-train"}))
    ended = run_here("run", "odd.jsonl", "--log-format", "json", SEEKR_BASE_URL=server)
    assert ended.status == 0
    (settled,) = [one for one in records(ended.stderr) if one["event"] == "entry_settled"]
    assert os.fsencode(settled["path"]) == b"data/" + name
    assert "\x1b" not in ended.stderr


def test_a_log_that_cannot_be_opened(desk: Path) -> None:
    """It is said before anything is sent."""
    ended = run_here("run", "good.jsonl", "--log-file", "no/folder/log", SEEKR_BASE_URL=NOWHERE)
    assert (ended.status, "choose another file with --log-file" in ended.stderr) == (ExitStatus.USAGE, True)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_log_that_does_not_fit_on_the_disk(desk: Path, server: str) -> None:
    """The run goes on, ends as it would have, and says that the log is incomplete."""
    ended: Ended = run_here("run", "good.jsonl", "--log-file", "/dev/full", SEEKR_BASE_URL=server)
    assert ended.status == 0
    assert "the log /dev/full is incomplete" in ended.stderr
