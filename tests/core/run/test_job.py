"""Where a job's ledger lies, by names alone."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.run.job import Job, ledger_path

HOME = Connection(endpoint=FLOW.base_url, profile=FLOW)
SANDBOX = Connection(endpoint="http://127.0.0.1:8099", profile=FLOW)

NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1).filter(
    lambda name: name not in (".", "..")
)


@pytest.mark.parametrize(
    ("manifest", "connection", "path"),
    [
        ("/data/m.jsonl", HOME, "/data/m.ledger.db"),
        ("/data/m.jsonl", SANDBOX, "/data/m@127.0.0.1-8099.ledger.db"),
        ("/m", HOME, "/m.ledger.db"),
        ("/data/.m", HOME, "/data/.m.ledger.db"),
        ("/data/m.tar.gz", HOME, "/data/m.tar.ledger.db"),
    ],
)
def test_a_ledger_lies_beside_its_manifest(manifest: str, connection: Connection, path: str) -> None:
    """It has the manifest's name, and that of any endpoint but the profile's own."""
    job = Job(manifest=manifest)
    assert ledger_path(job, connection, manifest=manifest, folder=os.path.dirname(manifest)) == path


def test_a_ledger_that_is_named_lies_there() -> None:
    """`ledger` counts for more than `ledger_dir`."""
    job = Job(manifest="m.jsonl", ledger="here.db", ledger_dir="/l")
    assert ledger_path(job, SANDBOX, manifest="/data/m.jsonl", folder="/data") == "here.db"


def test_a_folder_for_ledgers() -> None:
    """In a folder of their own ledgers of manifests with one name are told apart by where those are."""
    paths = {
        ledger_path(
            Job(manifest="m.jsonl", ledger_dir="/l"), connection, manifest=f"{home}/m.jsonl", folder=home
        )
        for home in ("/one", "/two")
        for connection in (HOME, SANDBOX)
    }
    assert len(paths) == 4
    assert {os.path.dirname(one) for one in paths} == {"/l"}
    assert sum(os.path.basename(one).startswith("m@127.0.0.1-8099-") for one in paths) == 2


@given(name=NAMES, ledger_dir=st.sampled_from(["", "l", "l/", "/", "/l"]))
def test_names_are_taken_apart_as_the_system_does(name: str, ledger_dir: str) -> None:
    """Any name gives the paths that `os.path` would make of it."""
    manifest = f"/data/{name}"
    stem = os.path.splitext(name)[0]
    beside = ledger_path(Job(manifest=manifest), HOME, manifest=manifest, folder="/data")
    assert beside == os.path.join("/data", f"{stem}.ledger.db")
    job = Job(manifest=manifest, ledger_dir=ledger_dir)
    path = ledger_path(job, HOME, manifest=manifest, folder="/data")
    assert os.path.dirname(path) == os.path.dirname(os.path.join(ledger_dir, "x"))
    assert os.path.basename(path).startswith(f"{stem}-")
