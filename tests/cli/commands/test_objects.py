"""The commands with objects: what they print, and what they refuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bulk_upload.sandbox import sandbox_in_thread
from bulk_upload.sandbox.objects import MemoryBucket, ObjectStore, ObjectStoreConfig, object_store_in_thread
from tests.cli.stage import Ended, run_here
from tests.engine.objects.stage import example

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """A store with objects, and a folder with the settings for it."""
    monkeypatch.chdir(tmp_path)
    objects = {f"chat/{number}.jsonl": example(number) for number in range(3)} | {
        "chat/bad.jsonl": example(1) + '{"messages": 3}\n'
    }
    config = ObjectStoreConfig(buckets={"data": MemoryBucket(objects)}, access_key="PLAYKEY")
    with object_store_in_thread(config) as running:
        Path("bulk-upload.toml").write_text(
            f'[sources."s3://data"]\nendpoint = "{running.url}"\nregion = "us-east-1"\n'
            'access-key-variable = "PLAY_ID"\nsecret-key-variable = "PLAY_SECRET"\n'
        )
        yield running


def run(*arguments: str, **env: str) -> Ended:
    return run_here(*arguments, **{"PLAY_ID": "PLAYKEY", "PLAY_SECRET": "PLAYSECRET", **env})


def manifest(*paths: str) -> str:
    Path("m.jsonl").write_text(
        "".join(json.dumps({"path": path, "purpose": "fine-tune"}) + "\n" for path in paths)
    )
    return "m.jsonl"


def test_scan(store: ObjectStore) -> None:
    """The manifest has whole addresses, and the next command needs no root."""
    ended = run("scan", "s3://data/chat", "--map", "?.jsonl=fine-tune", "-o", "m.jsonl")
    assert ended.status == 0
    lines = [json.loads(line) for line in Path("m.jsonl").read_text().splitlines()]
    assert lines == [
        {"path": f"s3://data/chat/{number}.jsonl", "purpose": "fine-tune"} for number in range(3)
    ]
    assert "Next: bulk-upload run m.jsonl\n" in ended.text
    header = json.loads(run("scan", "s3://data/chat", "--purpose", "fine-tune").stdout.splitlines()[0])
    assert header["root"] == "/"
    assert header["ledger"] == str(Path("manifest.ledger.db").absolute())


def test_a_prefix_in_place_of_a_folder(store: ObjectStore) -> None:
    """It is planned, sent and shown as a folder is; another run sends nothing."""
    with sandbox_in_thread() as server:
        words = ("s3://data/chat", "--map", "?.jsonl=fine-tune", "--exclude", "bad.jsonl")
        planned = run("plan", *words, "--base-url", server.url)
        assert "3 to send" in planned.text
        for _ in range(2):
            ended = run(*words, "--yes", "--settle", "1s", "--confirm", "off", "--base-url", server.url)
            assert ended.status == 0
            assert len(server.files) == 3
        (ledger,) = Path().glob("data-chat@*.ledger.db")
        shown = run("ledger", "export", str(ledger))
        assert "s3://data/chat/0.jsonl" in shown.text
        assert run("verify", str(ledger)).status == 0
        assert "Every entry is accepted." in run("status", str(ledger)).text


def test_validate(store: ObjectStore) -> None:
    """Objects of a manifest and under a prefix are downloaded and checked; one that is not there is an error."""
    listed = run("validate", manifest("s3://data/chat/0.jsonl", "s3://data/chat/bad.jsonl", "s3://data/no"))
    assert listed.status == 10
    assert "s3://data/chat/bad.jsonl:2" in listed.text
    assert "there is no such object" in listed.text
    found = run("validate", "s3://data/chat", "--purpose", "fine-tune")
    assert found.status == 10
    assert "4 files" in found.text
    apart = run("validate", manifest("s3://data/chat/bad.jsonl"), "--quarantine", "apart")
    assert apart.status == 2
    assert "download the objects first" in apart.text


@pytest.mark.parametrize("command", ["plan", "run", "validate"])
def test_a_secret_in_an_address_is_not_shown(store: ObjectStore, command: str) -> None:
    """The line is named, and nothing of the secret is printed or written."""
    path = manifest(
        "s3://data/chat/0.jsonl", "https://user:SECRETWORD@host/x", "s3://data/x?X-Amz-Signature=SECRETWORD"
    )
    ended = run(command, path)
    assert ended.status == 10
    assert "m.jsonl:2" in ended.text
    assert "m.jsonl:3" in ended.text
    assert "SECRETWORD" not in ended.text
    assert not list(Path().glob("*.ledger.db"))


def test_two_prefixes(store: ObjectStore) -> None:
    """Each has a job of its own."""
    ended = run("run", "s3://data/chat", "s3://data/other", "--purpose", "fine-tune")
    assert ended.status == 2
    assert "stands alone" in ended.text


def test_without_the_extra(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without obstore is told what to install; files need nothing of it."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    ended = run("plan", manifest("s3://data/chat/0.jsonl"))
    assert ended.status == 2
    assert "pip install 'bulk-upload[remote]'" in ended.text
    Path("a.jsonl").write_text(example(1))
    assert run("plan", manifest("a.jsonl")).status == 0


def test_plain_http(store: ObjectStore) -> None:
    """An endpoint or a file of another machine without encryption takes consent."""
    Path("bulk-upload.toml").write_text('[sources."s3://data"]\nendpoint = "http://192.0.2.1:9000"\n')
    ended = run("plan", manifest("s3://data/chat/0.jsonl"))
    assert ended.status == 2
    assert "--allow-plain-http" in ended.text
    ended = run("plan", manifest("http://192.0.2.1/x.jsonl"))
    assert ended.status == 10
    assert "plain-http" in ended.text


def test_a_store_on_this_machine_from_the_environment(store: ObjectStore) -> None:
    """What the sandbox prints for other tools works here, too: no bytes leave the machine unencrypted."""
    Path("bulk-upload.toml").unlink()
    env = {
        "AWS_ENDPOINT": store.url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "PLAYKEY",
        "AWS_SECRET_ACCESS_KEY": "PLAYSECRET",
    }
    ended = run("scan", "s3://data/chat", "--map", "?.jsonl=fine-tune", "-o", "m.jsonl", **env)
    assert ended.status == 0, ended.text
    assert len(Path("m.jsonl").read_text().splitlines()) == 3


def test_a_bucket_that_is_not_there(store: ObjectStore) -> None:
    """It is the bucket that the message names, not an object in it."""
    Path("bulk-upload.toml").write_text(
        Path("bulk-upload.toml").read_text().replace("s3://data", "s3://dada")
    )
    ended = run("plan", "s3://dada/chat", "--purpose", "fine-tune")
    assert "there is no such bucket (404 NoSuchBucket)" in ended.text


def test_a_prefix_without_objects(store: ObjectStore) -> None:
    """The hint speaks of buckets and prefixes, not of disks."""
    ended = run("plan", "s3://data/caht", "--purpose", "fine-tune")
    assert 'there is no file to upload in "s3://data/caht"' in ended.text
    assert "check bucket and prefix" in ended.text


@pytest.mark.parametrize("address", ["s3:/x/y", "s4://x/y", "S3:/x"])
@pytest.mark.parametrize("command", [("plan",), ("run",), ("validate",), ()])
def test_what_looks_like_an_address(
    command: tuple[str, ...], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slash that is missing, or a scheme that there is not, is told with those that there are."""
    monkeypatch.chdir(tmp_path)
    ended = run(*command, address, SEEKR_API_KEY="key", SEEKR_BASE_URL="http://127.0.0.1:9/v1")
    assert ended.status == 2
    assert "looks like the address of objects, which begins with s3://, gs://" in ended.stderr
    assert "memory://" not in ended.stderr


def test_a_repository_of_the_hub(store: ObjectStore) -> None:
    """It stands in the place of a folder; of a new commit only what has another content is sent again."""
    hub = {"HF_ENDPOINT": store.hub_url, "HF_TOKEN": "PLAYKEY"}
    with sandbox_in_thread() as server:
        words = (
            "hf://datasets/sandbox/data/chat",
            "--purpose",
            "fine-tune",
            "--exclude",
            "bad.jsonl",
            "--yes",
        )
        env = {"SEEKR_BASE_URL": server.url, "SEEKR_API_KEY": "key", **hub}
        ended = run(*words, **env)
        assert ended.status == 0, ended.text
        store.put("data", "chat/1.jsonl", example(9))
        ended = run(*words, **env)
        assert ended.status == 0, ended.text
        assert "Accepted 1 of 3 entries" in ended.text or "1 to send" in ended.text
        assert sorted(one.filename for one in server.files) == ["0.jsonl", "1.jsonl", "1.jsonl", "2.jsonl"]
        (ledger,) = Path().glob("*.ledger.db")
        assert ledger.name.startswith("datasets-sandbox-data-chat")
        listed = run("verify", str(ledger), **env)
        assert listed.status == 0, listed.text


def test_a_repository_without_access(store: ObjectStore) -> None:
    """It is said what to set up, for the repository with all its revisions; the token is not shown."""
    path = manifest("hf://datasets/sandbox/data@v1/chat/0.jsonl")
    ended = run("plan", path, HF_ENDPOINT=store.hub_url, HF_TOKEN="WRONG")
    assert ended.status == 10
    assert 'set up [sources."hf://datasets/sandbox/data"]' in ended.text
    assert "401" in ended.text
    assert "WRONG" not in ended.text
