"""A manifest or folder in a ledger's place stands for its ledger, whatever the endpoint."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from bulk_upload.cli.options.ledger_name import LEDGER
from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.run.job import Job
from bulk_upload.edge.manifest_file import ledger_path_of
from bulk_upload.errors import LedgerUnusable, UsageError

OTHER = "http://127.0.0.1:8099"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a manifest in one of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BULK_UPLOAD_LEDGER_DIR", raising=False)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "m.jsonl").write_text('{"path": "a", "purpose": "pre-train"}\n', "utf-8")


def make(path: str) -> str:
    """Make something under the name of a ledger."""
    Path(path).write_bytes(b"")
    return path


def found(name: str) -> str:
    """Return what a name stands for."""
    return LEDGER.convert(name, None, None)


@pytest.mark.parametrize("endpoint", [FLOW.base_url, OTHER])
@pytest.mark.parametrize("ledger_dir", [None, "ledgers"])
def test_the_ledger_that_a_run_makes_is_found(
    endpoint: str, ledger_dir: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the manifest, absolute or relative, in the place that the run has for it."""
    Path("ledgers").mkdir()
    job = Job(manifest="data/m.jsonl", ledger_dir=ledger_dir)
    ledger = make(ledger_path_of(job, Connection(endpoint=endpoint, profile=FLOW)))
    if ledger_dir is not None:
        monkeypatch.setenv("BULK_UPLOAD_LEDGER_DIR", ledger_dir)
    assert Path(found("data/m.jsonl")).samefile(ledger)
    assert Path(found(str(Path("data/m.jsonl").absolute()))).samefile(ledger)


def test_a_ledger_folder_of_the_configuration_is_looked_into() -> None:
    """`ledger-dir` of the defaults and of each job; a file with errors is no reason to fail."""
    Path("ledgers").mkdir()
    job = replace(Job(manifest="data/m.jsonl"), ledger_dir="ledgers")
    ledger = make(ledger_path_of(job, Connection(endpoint=OTHER, profile=FLOW)))
    Path("bulk-upload.toml").write_text('[jobs.nightly]\nledger-dir = "ledgers"\n', "utf-8")
    assert Path(found("data/m.jsonl")).samefile(ledger)
    Path("bulk-upload.toml").write_text("[jobs", "utf-8")
    with pytest.raises(LedgerUnusable):
        found("data/m.jsonl")


@pytest.mark.parametrize("ledger", ["data.ledger.db", "data@127.0.0.1-8099.ledger.db", "data/m.ledger.db"])
def test_a_folder_stands_for_its_ledger(ledger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One beside it that is named after it, or the one in it; also from inside."""
    make(ledger)
    for name in ("data", "data/", str(tmp_path / "data")):
        assert Path(found(name)).samefile(tmp_path / ledger)
    monkeypatch.chdir("data")
    assert Path(found(".")).samefile(tmp_path / ledger)


def test_several_ledgers_are_named() -> None:
    """Nothing is guessed: another endpoint's ledger is another job's."""
    make("data/m.ledger.db")
    make("data/m@127.0.0.1-8099.ledger.db")
    for name in ("data", "data/m.jsonl"):
        with pytest.raises(UsageError, match="has 2 ledgers") as caught:
            found(name)
        assert "data/m.ledger.db" in str(caught.value)
        assert "data/m@127.0.0.1-8099.ledger.db" in str(caught.value)


def test_the_ledger_that_was_used_last_is_said() -> None:
    """By its log, too, which a run writes first; each has the command, so that neither is typed."""
    made = [make("data/m.ledger.db"), make("data/m@127.0.0.1-8099.ledger.db")]
    os.utime(made[0], ns=(1, 1))
    os.utime(made[1], ns=(2, 2))

    def hint() -> str:
        with pytest.raises(UsageError) as caught:
            found("data/m.jsonl")
        return str(caught.value.hint)

    first, second = "`bulk-upload status data/m.ledger.db`", f"`bulk-upload status {made[1]}`"
    assert hint() == f"give one of them: {second} (used last), {first}"
    os.utime(make("data/m.ledger.db-wal"), ns=(3, 3))
    assert hint() == f"give one of them: {first} (used last), {second}"


def test_a_manifest_that_is_gone_stands_for_its_ledger_too() -> None:
    """Not so a name that no ledger belongs to: that is said to have none."""
    ledger = make("data/gone.ledger.db")
    assert found("data/gone.jsonl") == ledger
    assert found("data/never.jsonl") == "data/never.jsonl"


def test_a_ledger_is_taken_as_it_is() -> None:
    """Whatever it is called, and also where another one would be found."""
    Path("odd.jsonl").write_bytes(b"SQLite format 3\0")
    make("odd.ledger.db")
    assert found("odd.jsonl") == "odd.jsonl"
    assert found("no-such.db") == "no-such.db"


def test_names_with_wildcards_stand_for_themselves() -> None:
    """A `*` in the name of a manifest finds no other manifest's ledger."""
    Path("data/m*.jsonl").write_text("{}\n", "utf-8")
    make("data/mine.ledger.db")
    with pytest.raises(LedgerUnusable):
        found("data/m*.jsonl")


def test_a_prefix_stands_for_its_ledger_in_the_current_folder() -> None:
    """The name is that which `run` gives to it; a prefix without one is said to have none."""
    job = Job(manifest="s3://training/chat.v1/")
    path = ledger_path_of(job, Connection(endpoint=OTHER, profile=FLOW))
    make(os.path.relpath(path))
    assert found("s3://training/chat.v1/") == os.path.relpath(path)
    assert found("s3://training/chat.v1") == os.path.relpath(path)
    assert found("s3://training/other") == "s3://training/other"
