from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import obstore
import pytest
from click.testing import CliRunner
from obstore.exceptions import PermissionDeniedError
from obstore.store import S3Store

from bulk_upload.cli.commands.sandbox import sandbox
from bulk_upload.errors import UsageError
from bulk_upload.sandbox import sandbox_in_thread
from bulk_upload.sandbox.journal import Journal
from tests.sandbox.client import upload

ROOT = Path(__file__).parents[2]
START = "from bulk_upload.cli.commands.sandbox import sandbox; sandbox()"


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", START, "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stderr is not None
    try:
        told = process.stderr.readline() + process.stderr.readline()
        match = re.search(r"export [A-Z]+_BASE_URL=(\S+) [A-Z]+_API_KEY=(\S+)\n", told)
        assert match is not None, told
        yield process, match[1], match[2]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_until_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    """The told URL and key work at once; a signal ends it with exit 0, and stdout stays empty."""
    journal = tmp_path / "journal.jsonl"
    arguments = ("--faults", "ok,429:1", "--key", "play-key", "--dir", str(tmp_path / "in"))
    with running(*arguments, "--journal", str(journal)) as (process, url, key):
        statuses = [(await upload(url, key=key)).status, (await upload(url, key=key)).status]
        statuses.append((await upload(url, key="other")).status)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=5)
    assert (statuses, key) == ([200, 429, 401], "play-key")
    assert (process.returncode, stdout) == (0, "")
    assert "3 requests, 1 files" in stderr
    assert len(journal.read_text().splitlines()) == 3
    assert len(os.listdir(tmp_path / "in")) == 1


def test_it_serves_a_folder_of_objects(tmp_path: Path) -> None:
    """The printed endpoint and key serve a folder's files as objects; the end counts the requests."""
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "sub" / "a.jsonl").write_text("{}\n")
    arguments = ("--objects", str(tmp_path), "--object-port", "0", "--object-faults", "403")
    with running(*arguments) as (process, _, key):
        assert process.stderr is not None
        told = "".join(process.stderr.readline() for _ in range(3))
        endpoint = re.search(r"AWS_ENDPOINT=(\S+) ", told)
        assert endpoint is not None, told
        assert f"AWS_ACCESS_KEY_ID={key}" in told
        store = S3Store(
            "data",
            endpoint=endpoint[1],
            access_key_id=key,
            secret_access_key=key,
            region="us-east-1",
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )
        assert [one["path"] for one in obstore.list(store).collect()] == ["sub/a.jsonl"]
        with pytest.raises(PermissionDeniedError):
            obstore.get(store, "sub/a.jsonl")
        assert bytes(obstore.get(store, "sub/a.jsonl").bytes()) == b"{}\n"
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "object store stopped: 2 GET, 0 HEAD, 1 LIST requests" in stderr


def test_objects_need_a_folder(tmp_path: Path) -> None:
    """A missing folder, one without buckets, and faults without a store are usage errors."""
    for arguments in (
        ["--objects", str(tmp_path / "no")],
        ["--objects", str(tmp_path)],
        ["--object-faults", "403"],
    ):
        result = CliRunner().invoke(sandbox, arguments, help_option_names=["-h", "--help"])
        assert isinstance(result.exception, UsageError)
        assert result.exception.hint


def test_it_speaks_as_another_vendor() -> None:
    """The start text names the variables and the base URL that this vendor's own clients take."""
    with running("--profile", "openai", "--habit", "equal-times") as (process, url, _):
        assert url.endswith("/v1")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


async def test_the_journal_outlives_a_kill(tmp_path: Path) -> None:
    """After kill -9 the journal holds every answered upload as a whole line."""
    journal = tmp_path / "journal.jsonl"
    with running("--journal", str(journal)) as (process, url, key):
        for _ in range(3):
            assert (await upload(url, key=key)).status == 200
        process.kill()
        process.wait(timeout=5)
    assert [line[-1] for line in journal.read_text().splitlines()] == ["}"] * 3


def test_a_taken_port_raises_a_usage_error() -> None:
    """A port in use is the project's usage error, for the command line to print without a traceback."""
    with sandbox_in_thread() as other:
        result = CliRunner().invoke(
            sandbox, ["--port", other.url.rpartition(":")[2]], help_option_names=["-h", "--help"]
        )
    assert isinstance(result.exception, UsageError)
    assert "in use" in str(result.exception)


@pytest.mark.parametrize(
    "arguments", [("--faults", "nonsense"), ("--rate", "0"), ("--max-in-flight", "0"), ("--port", "99999")]
)
def test_wrong_options_raise_usage_errors(arguments: tuple[str, ...]) -> None:
    """Options that mean nothing are refused before anything is served."""
    result = CliRunner().invoke(sandbox, arguments, help_option_names=["-h", "--help"])
    assert isinstance(result.exception, UsageError)
    assert result.exception.hint


def test_every_setting_has_its_option() -> None:
    """The help names each option once, with the faults' text form."""
    text = CliRunner().invoke(sandbox, ["--help"], help_option_names=["-h", "--help"]).output
    for option in (
        "--port",
        "--dir",
        "--journal",
        "--key",
        "--faults",
        "--seed",
        "--budget",
        "--answer-delay",
    ):
        assert option in text
    for option in ("--read-rate", "--list-lag", "--max-in-flight", "--rate", "--burst"):
        assert option in text


def test_the_journal_is_not_written_through_a_trap(tmp_path: Path) -> None:
    """A link that another user laid in /tmp under the journal's name is refused."""
    folder = tmp_path / "anybodys"
    folder.mkdir()
    folder.chmod(0o1777)
    (folder / "journal.jsonl").symlink_to(tmp_path / "precious")
    with pytest.raises(UsageError, match="symbolic link"):
        Journal(str(folder / "journal.jsonl"))
    assert not (tmp_path / "precious").exists()
