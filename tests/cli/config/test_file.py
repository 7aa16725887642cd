"""bulk-upload.toml: whose value counts, and how mistakes in it are told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
import pytest
from rich.pretty import pretty_repr

from bulk_upload import FLOW, Job, RunSettings
from bulk_upload.cli.config.file import Configuration
from bulk_upload.cli.main import bulk_upload
from bulk_upload.cli.options.sections import JOB_SECTIONS, SERVER_SECTIONS
from bulk_upload.cli.run_request import RunRequest
from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.network import Network
from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import KEY, Ended, run_here


def shown(*words: str, **env: str | None) -> dict[str, tuple[str | None, str]]:
    """What `config show` says: value and source by setting."""
    ended = run_here("config", "show", "--all", "--json", *words, **env)
    assert ended.status == 0, ended.stderr
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    return {row["name"]: (row["value"], row["source"]) for row in rows}


def refused(text: str, *, command: tuple[str, ...] = ("plan", "good.jsonl")) -> str:
    """Write the file and return what a command says about it."""
    Path("bulk-upload.toml").write_text(text)
    ended = run_here(*command)
    assert ended.status == ExitStatus.USAGE, ended.text
    assert "Traceback" not in ended.text
    return ended.stderr


def test_flags_environment_file_defaults(desk: Path) -> None:
    """A flag wins over a variable, a variable over the file, a job over [defaults], these over what is built in."""
    (desk / "bulk-upload.toml").write_text(
        "[defaults]\npatience = '1m'\nsettle = 7\n[jobs.n]\nmanifest = 'good.jsonl'\npatience = '2m'\n"
    )
    assert shown("run")["max-attempts"] == ("6", "default")
    assert shown("run")["patience"] == ("1m", "bulk-upload.toml, line 2")
    assert shown("run", "--job", "n")["patience"] == ("2m", "bulk-upload.toml, line 6")
    assert shown("run", "--job", "n")["settle"] == ("7", "bulk-upload.toml, line 3")
    env = {"BULK_UPLOAD_PATIENCE": "3m"}
    assert shown("run", "--job", "n", **env)["patience"] == ("3m", "environment BULK_UPLOAD_PATIENCE")
    assert shown("run", "--patience", "4m", **env)["patience"] == ("240.0", "command line")


def test_what_is_shown_is_what_counts(desk: Path, server: str) -> None:
    """A run takes its manifest and settings from the job; `plan` reads the same job."""
    (desk / "elsewhere").mkdir()
    (desk / "conf").mkdir()
    config = desk / "conf" / "mine.toml"
    config.write_text(
        f"[defaults]\nbase-url = '{server}'\n[jobs.n]\nmanifest = '../good.jsonl'\nledger = 'n.db'\nquiet = true\n"
    )
    os.chdir(desk / "elsewhere")
    arguments = ("--config", str(config), "--job", "n")
    assert run_here("plan", *arguments, SEEKR_BASE_URL=None).stdout.startswith(b"2 entries")
    ended = run_here("run", *arguments, "--send-again", SEEKR_BASE_URL=None)
    assert (ended.status, ended.text) == (0, "")
    assert (desk / "conf" / "n.db").exists()
    assert not list((desk / "elsewhere").iterdir())


def test_the_run_says_whose_settings_it_has(desk: Path, server: str) -> None:
    """A file that was found by itself is named before anything is sent."""
    (desk / "bulk-upload.toml").write_text("[defaults]\nmax-attempts = 2\n")
    ended = run_here("run", "good.jsonl", SEEKR_BASE_URL=server)
    assert ended.stderr.startswith(f"settings: bulk-upload.toml\nserver: {server}\n")
    assert "settings:" not in run_here("run", "good.csv", "--config", "none", SEEKR_BASE_URL=server).stderr


def test_the_file_may_be_named(desk: Path) -> None:
    """--config and BULK_UPLOAD_CONFIG name the file; `none` reads none; one that is not there is a mistake."""
    (desk / "bulk-upload.toml").write_text("[defaults]\nsettle = 1\n")
    (desk / "other.toml").write_text("[defaults]\nsettle = 2\n")
    assert shown("run")["settle"][0] == "1"
    for command in (("run",), ("plan",), ("verify",), ("resolve", "reconcile")):
        read = run_here("config", "show", *command, BULK_UPLOAD_CONFIG="other.toml")
        assert "Read: other.toml" in read.stderr
    assert shown("run", "--config", "other.toml", BULK_UPLOAD_CONFIG="nope")["settle"][0] == "2"
    assert shown("run", "--config", "none")["settle"] == ("30s", "default")
    ended = run_here("plan", "good.jsonl", "--config", "nope.toml")
    assert (ended.status, "cannot read nope.toml" in ended.stderr) == (ExitStatus.USAGE, True)


def test_other_commands_take_what_they_have(desk: Path) -> None:
    """[defaults] gives `verify` the way to the server, and nothing else; a job's own settings are for its runs."""
    (desk / "bulk-upload.toml").write_text(
        "[defaults]\nstall = '5s'\npurpose = 'fine-tune'\nconcurrency = 2\n"
    )
    assert shown("verify")["stall"] == ("5s", "bulk-upload.toml, line 2")
    assert "concurrency" not in shown("verify")
    assert shown("resolve", "adopt")["purpose"] == (None, "default")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[defaults]\nmax_attempts = 3\n", 'line 2: [defaults] unknown setting \'max_attempts\''),
        ("[defaults]\n\nmax_attempts = 3\n", 'line 3'),
        ("[defaults]\nconcurency = 3\n", 'Did you mean "concurrency"?'),
        ("[default]\nconcurrency = 3\n", 'line 1: unknown table [default]'),
        ("[default]\nconcurrency = 3\n", 'Did you mean "defaults"?'),
        ("concurrency = 3\n", "line 1: 'concurrency' is outside a table"),
        ("jobs = 3\n", "line 1: jobs must be a table"),
        ("[jobs]\nnightly = 3\n", "line 2: [jobs] 'nightly' is not a table"),
        ("[jobs.n]\nquiet = true\n", "line 1: [jobs] the job 'n' has no manifest"),
        ("[jobs.n]\nmanifest = 3\n", "line 2: [jobs.n] manifest must be a string"),
        ("[jobs.n]\nmanifest = 'm'\nmanifets = 3\n", 'line 3: [jobs.n] unknown setting'),
        ("[jobs.n]\nmanifest = 'm'\nmanifets = 3\n", 'Did you mean "manifest"?'),
        ("[defaults]\nmanifest = 'm'\n", "unknown setting 'manifest'"),
        ("[defaults]\njob = 'm'\n", "unknown setting 'job'"),
        ("[defaults]\nquiet = 'yes'\n", "line 2: [defaults] quiet must be true or false"),
        ("[defaults]\ndeadline = true\n", "line 2: [defaults] deadline must be a string or a number"),
        ("[defaults]\ndeadline = ['2h']\n", "deadline must be a string or a number"),
        ("[defaults]\ndeadline = 'soon'\n", "line 2: [defaults] deadline: 'soon' is not a duration"),
        ("[defaults]\nmax-attempts = 0\n", "line 2: [defaults] max-attempts: 0 is not in the range"),
        ("[defaults]\nin-doubt = 'guess'\n", "in-doubt: 'guess' is not one of"),
        ("[defaults\n", "is not TOML"),
        ("[profiles.mine]\nmethod = 'POST'\n", "line 1: [profiles] the profile lacks base-url"),
        ("[profiles.mine]\nmethd = 'POST'\n", "line 2: [profiles.mine] a profile has no 'methd'"),
        ("[profiles.flow]\nmethod = 'POST'\n", "the profile 'flow' is built in"),
    ],
)  # fmt: skip
def test_mistakes(desk: Path, text: str, told: str) -> None:
    """Whatever is wrong in any table is told with its line, also where the command would not use it."""
    said = refused(text)
    assert told in said
    assert "bulk-upload.toml" in said
    assert "\n  hint: " in said


@pytest.mark.parametrize(
    "text",
    [
        f"[defaults]\napi-key = '{KEY}'\n",
        f"[defaults]\napi_key = '{KEY}'\n",
        f"API_KEY = '{KEY}'\n",
        f"[jobs.n]\nmanifest = 'good.jsonl'\nToken = '{KEY}'\n",
        f"[profiles.mine]\npassword = '{KEY}'\n",
        f"[defaults]\napi-key-command = 'echo {KEY}'\n",
        f"[auth]\nsecret = '{KEY}'\n",
    ],
)
def test_a_key_in_the_file(desk: Path, text: str) -> None:
    """A secret is refused under every name it may have, with the ways to keep one, and not repeated."""
    said = refused(text)
    assert "would store a secret in this file" in said
    for way in ("api-key-file", "api-key-command", "SEEKR_API_KEY"):
        assert way in said
    assert KEY not in said


def test_help_is_there_whatever_the_file_says(desk: Path) -> None:
    """Whoever has a mistake in the file can look up what is right."""
    (desk / "bulk-upload.toml").write_text("[nonsense")
    assert run_here("run", "--help").status == 0
    assert run_here("verify", "-h").status == 0
    assert run_here("status", "nope.db").status == ExitStatus.LEDGER_UNUSABLE


def test_a_made_up_key_is_no_secret(desk: Path) -> None:
    """The letter that somebody gives a sandbox for a key may stand in any value."""
    (desk / "bulk-upload.toml").write_text("[defaults]\nca-file = 'a.pem'\n")
    assert run_here("plan", "good.jsonl", SEEKR_API_KEY="a").status == 0


@pytest.mark.parametrize(
    ("key", "address"),
    [
        ("proxy", "http://me:hunter2@proxy:3128"),
        ("proxy", "me:hunter2@proxy:3128"),
        ("base-url", "http://me:hunter2@proxy:3128"),
    ],
)
def test_a_password_in_an_address(desk: Path, key: str, address: str) -> None:
    """A proxy's password belongs into the variable."""
    said = refused(f"[defaults]\n{key} = '{address}'\n")
    assert "contains a user name or password" in said
    assert "HTTPS_PROXY" in said
    assert "hunter2" not in said


def test_keys_are_never_shown(desk: Path) -> None:
    """`config show` says where the key comes from; commands and proxies lose what may be secret in them."""
    (desk / "bulk-upload.toml").write_text("[defaults]\napi-key-command = 'pass show hush-4711'\n")
    for form in ((), ("--json",)):
        ended = run_here("config", "show", *form, "run", "--proxy", "http://me:hunter2@proxy:3128")
        assert ended.status == 0
        for secret in (KEY, "hush-4711", "hunter2"):
            assert secret not in ended.text
    assert shown("run")["api-key-command"][0] == "pass ..."
    assert shown("run")["api-key"] == ("(not shown)", "the output of api-key-command")
    assert shown("run", "--config", "none")["api-key"] == ("(not shown)", "environment SEEKR_API_KEY")
    assert shown("run", "--config", "none", SEEKR_API_KEY=None)["api-key"][0] is None


def test_a_file_of_somebody_else(desk: Path) -> None:
    """A file that others can write decides nothing, unless it is named."""
    path = desk / "bulk-upload.toml"
    path.write_text("[defaults]\nsettle = 1\n")
    path.chmod(0o666)
    ended = run_here("plan", "good.jsonl")
    assert (ended.status, "someone else" in ended.stderr) == (ExitStatus.USAGE, True)
    assert run_here("plan", "good.jsonl", "--config", "bulk-upload.toml").status == 0
    assert run_here("plan", "good.jsonl", "--config", "none").status == 0


def _job(desk: Path, *arguments: str) -> Ended:
    (desk / "bulk-upload.toml").write_text("[jobs.nightly]\nmanifest = 'good.jsonl'\n")
    return run_here("plan", *arguments)


def test_jobs_by_name(desk: Path) -> None:
    """A job that is not there is told with the nearest one; MANIFEST beside --job is ambiguous."""
    assert _job(desk, "--job", "nightly").status == 0
    ended = _job(desk, "--job", "nightli")
    assert ended.status == ExitStatus.USAGE
    assert 'Did you mean "nightly"? Known jobs: nightly' in ended.stderr
    ended = _job(desk, "good.csv", "--job", "nightly")
    assert (ended.status, "are given" in ended.stderr) == (ExitStatus.USAGE, True)
    ended = run_here("plan", "--config", "none", "--job", "nightly")
    assert (ended.status, "no bulk-upload.toml was read" in ended.stderr) == (ExitStatus.USAGE, True)


def test_every_option_has_its_section() -> None:
    """Each option of `run` is in one group of its help, and so may stand in the file; no group names what is not there."""
    run = bulk_upload.get_command(click.Context(bulk_upload), "run")
    assert run is not None
    names = [name for group in JOB_SECTIONS.values() for name in group]
    assert len(names) == len(set(names))
    own = {str(one.name) for one in run.params} - {"manifest", "config", "job"}
    assert set(names) == own
    assert SERVER_SECTIONS.items() <= JOB_SECTIONS.items()


def test_what_a_command_works_with_is_shown_without_secrets() -> None:
    """Neither Python's own form nor rich's has the key, or what the file says, in it."""
    asked = RunRequest(
        job=Job(manifest="m.jsonl"),
        connection=Connection(
            endpoint="https://flow.example",
            profile=FLOW,
            network=Network(proxy="http://me:hunter2@proxy"),
        ),
        api_key="hunter2",
        settings=RunSettings(),
        results=None,
        live=False,
        command="bulk-upload run m.jsonl",
    )
    file = Configuration(path="bulk-upload.toml", text='proxy = "http://me:hunter2@proxy"')
    for value in (asked, asked.connection, file):
        assert "hunter2" not in repr(value) + pretty_repr(value)
