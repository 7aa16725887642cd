"""Where settings come from: flags win over the environment, the environment over defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import KEY, NOWHERE, run_here, run_shell


def write_key(path: Path, key: str) -> str:
    path.write_text(f"{key}\n")
    path.chmod(0o600)
    return str(path)


def test_the_key_comes_from_the_environment_or_a_file(desk: Path, server: str) -> None:
    """SEEKR_API_KEY is used where no --api-key-file is given; the file wins."""
    assert run_here("run", "good.jsonl", SEEKR_API_KEY=KEY, SEEKR_BASE_URL=server).status == 0
    wrong = write_key(desk / "wrong.key", "sk-wrong")
    ended = run_here("run", "good.csv", "--ledger", "l.db", "--api-key-file", wrong, SEEKR_BASE_URL=server)
    assert ended.status == ExitStatus.CREDENTIALS_REFUSED
    right = write_key(desk / "right.key", KEY)
    arguments = ("run", "good.csv", "--ledger", "l.db", "--api-key-file", right)
    assert run_here(*arguments, SEEKR_API_KEY="sk-wrong", SEEKR_BASE_URL=server).status == 0


def test_the_key_may_come_from_another_program(desk: Path, server: str) -> None:
    """A pipe that a password manager writes to is a key file too."""
    script = "bulk-upload run good.jsonl --api-key-file <(echo $ONCE)"
    ended = run_shell(script, SEEKR_API_KEY=None, SEEKR_BASE_URL=server, ONCE=KEY)
    assert ended.status == 0


def test_the_server_comes_from_the_environment_or_a_flag(desk: Path, server: str) -> None:
    """SEEKR_BASE_URL names the server; --base-url wins; an empty variable counts as none."""
    assert f"server: {server}\n" in run_here("run", "good.jsonl", SEEKR_BASE_URL=server).stderr
    ended = run_here("run", "good.jsonl", "--base-url", server, SEEKR_BASE_URL=NOWHERE)
    assert "Nothing to do: all 2 entries were accepted before." in ended.stderr
    assert "good.ledger.db" in run_here("plan", "good.jsonl", SEEKR_BASE_URL="").stdout.decode()


def test_the_team_comes_from_the_environment_or_a_flag(desk: Path, server: str) -> None:
    """SEEKR_TEAM_ID names the team; --team wins."""
    for ledger, flags, team in (("a.db", (), "t-env"), ("b.db", ("--team", "t-flag"), "t-flag")):
        arguments = ("run", "good.jsonl", "--ledger", ledger, *flags)
        ended = run_here(*arguments, SEEKR_TEAM_ID="t-env", SEEKR_BASE_URL=server)
        assert f"server: {server}, team {team}\n" in ended.stderr
        assert f"team          {team}\n" in run_here("status", ledger).stdout.decode()


@pytest.mark.parametrize("command", ["run", "plan"])
def test_any_option_may_be_a_variable(command: str, desk: Path) -> None:
    """BULK_UPLOAD_PURPOSE is --purpose for `run` and `plan` alike; the flag wins; a bad value is refused."""
    ended = run_here(command, "good.jsonl", BULK_UPLOAD_PURPOSE="fintune")
    assert (ended.status, '"fintune"' in ended.stderr) == (ExitStatus.USAGE, True)
    arguments = (command, "good.jsonl", "--purpose", "fine-tune", "--root", "nope")
    assert '"nope"' in run_here(*arguments, BULK_UPLOAD_PURPOSE="fintune").stderr


def test_variables_are_parsed_like_options(desk: Path) -> None:
    """A variable with a bad value is told by the option's name; numbers, durations and flags work."""
    ended = run_here("run", "good.jsonl", BULK_UPLOAD_DEADLINE="soon")
    assert ended.status == ExitStatus.USAGE
    assert "--deadline" in ended.stderr
    ended = run_here("run", "good.jsonl", BULK_UPLOAD_MAX_ATTEMPTS="1", BULK_UPLOAD_QUIET="1")
    assert ended.status == ExitStatus.UNFINISHED
    assert "(after 1 attempt)" in ended.stderr
    assert "plan:" not in ended.stderr


def test_other_commands_have_their_name_in_the_variable(desk: Path, server: str) -> None:
    """BULK_UPLOAD_LEDGER_SHOW_LIMIT is the --limit of `ledger show`, and of nothing else."""
    assert run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server).status == 0
    shown = run_here("ledger", "show", "l.db", BULK_UPLOAD_LEDGER_SHOW_LIMIT="1").stdout.decode()
    assert "... and 1 more" in shown
    shown = run_here(
        "ledger", "show", "l.db", "--limit", "2", BULK_UPLOAD_LEDGER_SHOW_LIMIT="1"
    ).stdout.decode()
    assert "more" not in shown


@pytest.mark.parametrize("name", ["BULK_UPLOAD_VERSION", "BULK_UPLOAD_HELP"])
def test_variables_that_are_no_settings(name: str, desk: Path) -> None:
    """A pipeline that pins the version to install in BULK_UPLOAD_VERSION can still use every command."""
    ended = run_here("plan", "good.jsonl", **{name: "0.1.0"})
    assert ended.status == 0
    assert ended.stdout.startswith(b"2 entries")


def test_nothing_is_read_from_the_home_folder(desk: Path) -> None:
    """A command works without a home folder."""
    assert run_shell("unset HOME; bulk-upload plan good.jsonl").status == 0
