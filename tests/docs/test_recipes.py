"""The how-to guides and the tutorial work as written: their code blocks are run against the sandbox."""

from __future__ import annotations

import configparser
import csv
import fcntl
import importlib.util
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pytest

from bulk_upload import LedgerReader
from bulk_upload.sandbox import Sandbox, SandboxConfig, parse_faults, sandbox_in_thread
from bulk_upload.sandbox.objects import Content, MemoryBucket, ObjectStoreConfig, object_store_in_thread
from tests.docs.stage import DOCS, Stage, blocks_of

KEY = "sandbox-key"
PAGES = sorted([*(DOCS / "how-to").glob("*.md"), *(DOCS / "tutorials").glob("*.md")])
CHAT = '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "Yes."}]}\n'
TEXT = '{"text": "%s"}\n'


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(SandboxConfig(keys=(KEY,))) as running:
        yield running


@pytest.fixture
def stage(sandbox: Sandbox, tmp_path: Path) -> Stage:
    folder = tmp_path / "stage"
    folder.mkdir()
    return Stage(folder=folder, url=sandbox.url, key=KEY)


def write(folder: Path, files: dict[str, str]) -> None:
    """Lay out files."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def port_of(sandbox: Sandbox) -> int:
    port = urlsplit(sandbox.url).port
    assert port is not None
    return port


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_says_what_it_is(page: Path) -> None:
    """No code block is left out by oversight: it is run, or says why it is not."""
    blocks = blocks_of(page)
    assert len(blocks) == page.read_text("utf-8").count("\n```") / 2
    assert all(block.what is not None for block in blocks)
    assert all(block.detail for block in blocks if block.what == "not run")


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_no_prompt_is_copied(page: Path) -> None:
    """Commands are in blocks of their own, as they are typed."""
    lines = [line for block in blocks_of(page) for line in block.code.splitlines()]
    assert [line for line in lines if line.startswith("$ ")] == []


def test_nightly(stage: Stage, sandbox: Sandbox) -> None:
    """The first night sends all, the next nothing, then only what is new or changed; good nights are silent."""
    write(
        stage.folder, {"exports/a.jsonl": CHAT % "a", "exports/b.jsonl": CHAT % "b", "seekr.key": f"{KEY}\n"}
    )
    (stage.folder / "seekr.key").chmod(0o600)
    stage.env = {"SEEKR_API_KEY": ""}
    stage.follow("how-to/nightly.md")
    for night, files in enumerate(
        ({}, {}, {"exports/b.jsonl": CHAT % "longer", "exports/c.jsonl": CHAT % "c"})
    ):
        write(stage.folder, files)
        assert (stage.run("cd / && $OLDPWD/nightly.sh"), stage.said) == (0, "")
        assert len(sandbox.files) == (2, 2, 4)[night]
    log = (stage.folder / "nightly.log").read_text().splitlines()
    assert [json.loads(line)["event"] for line in log].count("run_ended") == 3


def test_nightly_while_the_last_night_goes_on(stage: Stage) -> None:
    """A second run does not begin, and says why; a key that is refused is not silent either."""
    write(stage.folder, {"exports/a.jsonl": CHAT % "a", "seekr.key": "wrong\n"})
    (stage.folder / "seekr.key").chmod(0o600)
    stage.follow("how-to/nightly.md")
    assert stage.run("./nightly.sh") == 12
    assert "refused" in stage.said
    with (stage.folder / "nightly.ledger.db.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert stage.run("./nightly.sh") == 11
    assert "run is still active" in stage.said


def test_nightly_units(stage: Stage) -> None:
    """The systemd units are well-formed, and the service takes for success what the script means by it."""
    stage.follow("how-to/nightly.md")
    units = {}
    for name in ("nightly.service", "nightly.timer"):
        units[name] = configparser.ConfigParser(interpolation=None)
        # Keys of units have capitals. configparser documents this assignment, to what is a method for mypy.
        units[name].optionxform = str  # type: ignore[assignment,method-assign]
        units[name].read(stage.folder / name)
    assert Path(units["nightly.service"]["Service"]["ExecStart"]).name == "nightly.sh"
    assert units["nightly.service"]["Service"]["SuccessExitStatus"] == "5"
    assert units["nightly.timer"]["Timer"]["OnCalendar"]


def task_module(stage: Stage) -> ModuleType:
    """Return the task as a module."""
    stage.follow("how-to/orchestrator.md")
    spec = importlib.util.spec_from_file_location("upload_task", stage.folder / "upload_task.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_orchestrator(stage: Stage, sandbox: Sandbox) -> None:
    """Both forms work inside a running loop; a second call sends nothing."""
    task = task_module(stage)
    write(stage.folder, {"a.jsonl": CHAT % "a", "m.jsonl": '{"path": "a.jsonl", "purpose": "fine-tune"}\n'})
    manifest, ledger = str(stage.folder / "m.jsonl"), str(stage.folder / "l.ledger.db")
    told: list[object] = []
    arguments = {"api_key": KEY, "base_url": sandbox.url}
    assert await task.upload_async(manifest, ledger, on_event=told.append, **arguments) == {"accepted": 1}
    assert told
    assert task.upload_sync(manifest, ledger, **arguments) == {"accepted": 1}
    assert len(sandbox.files) == 1


async def test_orchestrator_verdicts(stage: Stage, sandbox: Sandbox) -> None:
    """What a retry can mend is told from what a person must."""
    task = task_module(stage)
    write(stage.folder, {"a.jsonl": CHAT % "a", "m.jsonl": '{"path": "a.jsonl", "purpose": "fine-tune"}\n'})
    manifest, ledger = str(stage.folder / "m.jsonl"), str(stage.folder / "l.ledger.db")
    sandbox.use_faults(parse_faults("307"))
    with pytest.raises(task.TryAgainLater, match="pending"):
        await task.upload_async(manifest, ledger, api_key=KEY, base_url=sandbox.url)
    sandbox.use_faults(parse_faults("422"))
    with pytest.raises(task.NeedsAttention, match="rejected"):
        await task.upload_async(manifest, ledger, api_key=KEY, base_url=sandbox.url)


def test_backfill(stage: Stage, sandbox: Sandbox) -> None:
    """Each month has its ledger; the second pass sends nothing; the mapping has every file."""
    write(stage.folder, {f"archive/2024-0{month}/x.jsonl": TEXT % month for month in (1, 2)})
    stage.follow("how-to/backfill.md")
    assert len(sandbox.files) == 2
    assert stage.said.split()[0] == "2"
    codes = (stage.folder / "backfill/codes.txt").read_text().split()
    assert codes == [word for _ in range(2) for month in (1, 2) for word in (f"2024-0{month}", "0")]


def test_migration(stage: Stage, sandbox: Sandbox) -> None:
    """Rehearsed, uploaded, verified: the mapping has every file that was meant, and nothing else was sent."""
    write(
        stage.folder,
        {"data/corpus/a.jsonl": TEXT % "a", "data/b.jsonl": CHAT % "b", "data/x.tmp": "", "data/notes": "x"},
    )
    with sandbox_in_thread(SandboxConfig(keys=(KEY,))) as rehearsal:
        stage.follow("how-to/migration.md", port=port_of(rehearsal))
        assert len(rehearsal.files) == 2
    assert {one.filename for one in sandbox.files} == {"a.jsonl", "b.jsonl"}
    with (stage.folder / "mapping.csv").open() as mapping:
        rows = list(csv.DictReader(mapping))
    assert {(row["path"], row["status"]) for row in rows} == {
        ("b.jsonl", "accepted"),
        ("corpus/a.jsonl", "accepted"),
    }


def test_ci(stage: Stage, sandbox: Sandbox) -> None:
    """The job uploads, verifies and leaves the mapping; a rerun with new modification times sends nothing."""
    write(stage.folder, {"dist/a.jsonl": CHAT % "a", "dist/b/c.jsonl": CHAT % "c"})
    stage.follow("how-to/ci.md")
    os.utime(stage.folder / "dist/a.jsonl", (1, 1))
    (upload,) = [line for line in (stage.folder / "ci/upload.sh").read_text().splitlines() if " run " in line]
    assert stage.run(upload) == 0
    assert len(sandbox.files) == 2
    assert len((stage.folder / "upload.csv").read_text().splitlines()) == 3


def test_first_hour(tmp_path: Path) -> None:
    """The tutorial ends with one version of every file at the server, with all that happens on the way."""
    faults = parse_faults("429:1,ok*2,drop-stored")
    with sandbox_in_thread(SandboxConfig(keys=(KEY,), faults=faults)) as sandbox:
        folder = tmp_path / "stage"
        folder.mkdir()
        stage = Stage(folder=folder, url=sandbox.url, key=KEY)
        said = []
        for block in blocks_of(DOCS / "tutorials/first-hour.md"):
            stage.do(block)
            said.append((block.code, stage.said))
        assert sorted(one.filename for one in sandbox.files) == ["a.jsonl", "b.jsonl", "sea.jsonl"]
    shown = [block.code for block in blocks_of(DOCS / "tutorials/first-hour.md") if block.what == "output"]
    validated, scanned = shown
    assert "2 errors" in validated
    assert "Entries: 3" in scanned
    looked = [words for script, words in said if "--dry-run" in script]
    assert "fine-tune  2 files" in looked[0]
    assert "pre-train  1 file" in looked[0]
    assert "corpus/away.jsonl cannot be read" in looked[0]
    assert "--map '*.md=alignment', or --exclude '*.md'" in looked[0]
    assert 'Did you mean "pre-train"?' in looked[2]
    runs = [words for script, words in said if script.splitlines()[-1].startswith("bulk-upload ./tides")]
    runs = [words for words in runs if "Ledger: tides" in words]
    assert "1 entry invalid, not sent:\n  1 x line 2, $.messages[1].role" in runs[0]
    assert "Accepted 2 of 3 entries" in runs[0]
    assert "Accepted 1 of 3 entries" in runs[1]
    assert "1 entry accepted through the server's list" in runs[1]
    assert "Nothing to do: all 3 entries were accepted before." in runs[2]
    (ledger,) = folder.glob("tides*.ledger.db")
    with LedgerReader(str(ledger)) as reader:
        rows = list(reader.rows(all_receipts=True))
    assert sorted(row.status for row in rows) == ["accepted", "accepted", "accepted", "superseded"]


def test_packs(stage: Stage, sandbox: Sandbox) -> None:
    """The numbers are those of the page, and every file of the folder has the id of a pack that is there."""
    stage.follow("how-to/packs.md")
    with (stage.folder / "mapping.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    paths = {path.name for path in (stage.folder / "data").iterdir()}
    assert {row["path"] for row in rows} == paths - {"manifest.jsonl"}
    assert {row["file_id"] for row in rows} == {file.file_id for file in sandbox.files}
    text = (DOCS / "how-to/packs.md").read_text("utf-8")
    assert any(f"`{one.filename}`" in text for one in sandbox.uploads)


def test_convert(stage: Stage) -> None:
    """The commands end as the page says, and the lines are those that it shows."""
    stage.follow("how-to/convert.md")
    shown = next(one for one in blocks_of(DOCS / "how-to/convert.md") if one.what == "not run")
    assert (stage.folder / "alpaca.converted.jsonl").read_text() == shown.code
    assert (stage.folder / "commas.converted.jsonl").read_text() == '{"any": 1}\n{"any": 2}\n'
    assert "image_url" not in (stage.folder / "picture.converted.jsonl").read_text()


def test_bundles(stage: Stage, sandbox: Sandbox) -> None:
    """The page's numbers are those of its example; configuration and Python do the same, and a rerun does nothing."""
    write(stage.folder, {f"datasets/{number}.jsonl": TEXT % number for number in range(120)})
    page = DOCS / "how-to" / "bundles.md"
    stage.follow("how-to/bundles.md")
    assert stage.said.splitlines()[-1] == "DONE"
    assert len(sandbox.files) == 120
    assert max(len(one.bulk_files) for one in sandbox.uploads) == 64
    # The probe's request, and two with the files.
    assert sandbox.upload_count == 3
    assert stage.run("bulk-upload plan ./datasets --purpose pre-train --bundle 64 --ledger-dir other") == 0
    (line,) = [one for one in stage.said.splitlines() if one.startswith("Bundles")]
    assert line in page.read_text("utf-8")


def test_object_stores(stage: Stage, sandbox: Sandbox) -> None:
    """Objects are sent from their store as the page says, and the keys are those that the file names variables of."""
    objects: dict[str, Content | bytes | str] = {
        "chat/a.jsonl": CHAT % "a", "chat/b.jsonl": CHAT % "b", "other/c.jsonl": CHAT % "c",
    }  # fmt: skip
    config = ObjectStoreConfig(buckets={"training": MemoryBucket(objects)}, access_key="PLAYKEY")
    stage.env = {"TRAINING_KEY": "PLAYKEY", "TRAINING_SECRET": "PLAYSECRET", "HF_TOKEN": "PLAYKEY"}
    with object_store_in_thread(config) as store:
        stage.env["HF_ENDPOINT"] = store.hub_url
        blocks = blocks_of(DOCS / "how-to" / "object-stores.md")
        # The settings are in place before the first command, as a reader has them who comes back.
        for block in sorted(blocks, key=lambda block: block.what != "file"):
            stage.do(replace(block, code=block.code.replace("http://127.0.0.1:8100", store.url)))
    # From the store, and once more from the Hub.
    assert sorted(one.filename for one in sandbox.files) == ["a.jsonl"] * 2 + ["b.jsonl"] * 2 + ["c.jsonl"]
    assert (stage.folder / "chat.jsonl").read_text() == (stage.folder / "manifest.jsonl").read_text()
