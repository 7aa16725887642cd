"""Jobs of folders, against a real server on loopback: what is listed, sent, remembered and left alone."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from bulk_upload import ExitStatus, Job, LedgerReader, RunSettings, Uploader, UsageError
from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.folder.sightings import FolderRequest
from bulk_upload.job_plan import JobPlanner
from bulk_upload.sandbox import SandboxConfig, sandbox_in_thread
from tests.core.folder.test_likeness import CHAT, EXAMPLES, lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bulk_upload import Result
    from bulk_upload.engine.folder.listing import FolderListing
    from bulk_upload.sandbox import Sandbox

AWAY = Connection(endpoint=FLOW.base_url, profile=FLOW)
QUICK = RunSettings(concurrency=4, settle_s=1.0)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(SandboxConfig()) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file of each purpose that a line shows, one of them deep, and a text."""
    root = tmp_path / "data.v1"
    for name, content in {
        "chat.jsonl": lines(EXAMPLES["fine-tune"]),
        "corpus/sea.jsonl": lines(EXAMPLES["pre-train"]),
        "corpus/\udcff.jsonl": lines(EXAMPLES["pre-train"]),
        "deep/er/pairs.jsonl": lines(EXAMPLES["preference-fine-tune"]),
        "README.md": b"# Tides\n",
    }.items():
        write(root / name, content)
    return root


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def listed(
    *paths: Path, connection: Connection = AWAY, job: Job | None = None, **options: Any
) -> FolderListing:
    planner = JobPlanner(connection)
    request = FolderRequest(paths=tuple(map(str, paths)), **options)
    return planner.listing(planner.folder_job(job or Job(manifest=""), request))


def purposes(listing: FolderListing) -> dict[str, str]:
    with listing.opened() as manifest:
        return {one["path"]: one["purpose"] for one in map(json.loads, manifest.lines())}


FOUND = {
    "chat.jsonl": "fine-tune",
    "corpus/sea.jsonl": "pre-train",
    "corpus/\udcff.jsonl": "pre-train",
    "deep/er/pairs.jsonl": "preference-fine-tune",
}


async def run(sandbox: Sandbox, *paths: Path, job: Job | None = None, **options: Any) -> Result:
    """Run the folder's job to its end; nobody decides about undecided files."""
    request = FolderRequest(paths=tuple(map(str, paths)), **options)
    async with Uploader(api_key="key", base_url=sandbox.url, settings=QUICK) as up:
        folder = up.planner.folder_job(job or Job(manifest=""), request)
        with up.planner.listing(folder) as listing:
            return await up.run(folder.job, listing=listing)


def sent_count(sandbox: Sandbox) -> int:
    return len(sandbox.files)


def states(result: Result) -> dict[str, str]:
    with LedgerReader(result.ledger) as reader:
        return {row.path: row.status for row in reader.rows()}


def test_purposes_by_looking(folder: Path) -> None:
    """Each file gets the purpose that alone takes it; a file that none alone takes is left undecided."""
    with listed(folder) as listing:
        assert purposes(listing) == FOUND
        (group,) = listing.tally.undecided.groups
        assert (group.examples, group.guess) == (["README.md"], "alignment")
        assert listing.open_groups == [0]
        listing.decide(0, "alignment")
        assert listing.open_groups == []
        assert purposes(listing) == FOUND | {"README.md": "alignment"}
        listing.decide(0, None)
        assert listing.entry_count == 5


def test_given_purposes_come_first(folder: Path) -> None:
    """A pattern decides before the purpose for the rest, and both before the content."""
    with listed(folder, mappings=("corpus/**=alignment",)) as listing:
        assert purposes(listing)["corpus/sea.jsonl"] == "alignment"
        assert purposes(listing)["chat.jsonl"] == "fine-tune"
    with listed(folder, mappings=("corpus/**=alignment",), purpose="pre-train") as listing:
        assert set(purposes(listing).values()) == {"alignment", "pre-train"}
        assert purposes(listing)["README.md"] == "pre-train"


@pytest.mark.parametrize(
    "options", [{"purpose": "pre-trian"}, {"mappings": ("*=pre-trian",)}, {"exclude": ("",)}]
)
def test_what_cannot_be_given(folder: Path, options: dict[str, Any]) -> None:
    """A misspelt purpose is a usage error that names the right one, and so is an empty pattern."""
    with pytest.raises(UsageError):
        listed(folder, **options)
    if "exclude" not in options:
        with listed(folder, job=Job(manifest="", force=True), **options) as listing:
            assert "pre-trian" in purposes(listing).values()


def test_a_folder_is_its_own_root(folder: Path) -> None:
    """A root for a folder would have two meanings."""
    with pytest.raises(UsageError, match="--root"):
        listed(folder, job=Job(manifest="", root="/"))


def test_nothing_waits_for_a_pipe(folder: Path) -> None:
    """What is no regular file is named and never opened."""
    os.mkfifo(folder / "pipe.jsonl")
    with listed(folder) as listing:
        assert listing.tally.skipped.shown == [("pipe.jsonl", "is not a regular file")]


def test_a_long_first_line_is_read_whole(folder: Path) -> None:
    """A line that is longer than the first block still shows its purpose."""
    write(folder / "long.jsonl", lines({"text": "tide " * 100_000}, {"text": "x"}))
    with listed(folder) as listing:
        assert purposes(listing)["long.jsonl"] == "pre-train"


def test_links_out_of_the_folder(folder: Path) -> None:
    """They count only where the job follows links; a link within the folder always does."""
    write(folder.parent / "elsewhere.jsonl", lines(CHAT))
    (folder / "out.jsonl").symlink_to("../elsewhere.jsonl")
    (folder / "in.jsonl").symlink_to("chat.jsonl")
    with listed(folder) as listing:
        assert "in.jsonl" in purposes(listing)
        assert listing.tally.skipped.shown == [
            ("out.jsonl", "is a symbolic link that leads outside the folder")
        ]
    with listed(folder, follow_symlinks=True) as listing:
        assert purposes(listing)["out.jsonl"] == "fine-tune"


def test_no_room_for_the_list(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk for temporary files is said as such."""
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no full device")
    monkeypatch.setattr("tempfile.TemporaryFile", partial(open, "/dev/full", "wb"))
    with pytest.raises(UsageError, match="No space left") as raised:
        listed(folder)
    assert "TMPDIR" in str(raised.value.hint)


def test_a_list_can_be_read_twice_at_a_time(folder: Path) -> None:
    """A plan and a run may read it side by side, also after it was closed."""
    with listed(folder) as listing:
        first, second = listing.opened(), listing.opened()
    with first, second:
        pairs = list(zip(first.lines(), second.lines(), strict=True))
    assert len(pairs) == 4
    assert all(one == other for one, other in pairs)


def test_the_ledger_is_beside_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the folder's whole name, and every spelling of the folder and link to it gives the same one."""
    (folder.parent / "link").symlink_to(folder)
    monkeypatch.chdir(folder / "corpus")
    planner = JobPlanner(AWAY)
    for name in (str(folder), "..", "../../link", "../../link/corpus/.."):
        job = planner.folder_job(Job(manifest=""), FolderRequest(paths=(name,))).job
        assert planner.ledger_path(job) == os.path.realpath(folder.parent / "data.v1.ledger.db")


def test_the_ledger_is_in_the_folder_where_none_can_be_beside_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may not write beside the folder keeps the ledger in it; a ledger that is there stays where it is."""
    closed = {str(folder.parent)}
    monkeypatch.setattr(os, "access", lambda path, *_, **__: str(path) not in closed)
    planner = JobPlanner(AWAY)
    job = planner.folder_job(Job(manifest=""), FolderRequest(paths=(str(folder),))).job
    inside, beside = folder / "data.v1.ledger.db", folder.parent / "data.v1.ledger.db"
    assert planner.ledger_path(job) == str(inside)
    inside.touch()
    closed.clear()
    assert planner.ledger_path(job) == str(inside)
    beside.touch()
    with pytest.raises(UsageError, match="two ledgers"):
        planner.ledger_path(job)
    inside.unlink()
    assert planner.ledger_path(job) == str(beside)
    beside.unlink()
    closed |= {str(folder), str(folder.parent)}
    with pytest.raises(UsageError, match="no ledger can be made"):
        planner.ledger_path(job)
    elsewhere = msgspec.structs.replace(job, ledger_dir="/somewhere")
    assert planner.ledger_path(elsewhere).startswith("/somewhere/data.v1-")


async def test_again_is_resume(folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run sends nothing; new and changed files are taken up, and what is gone is dropped."""
    assert (await run(sandbox, folder)).status is ExitStatus.DONE
    assert sent_count(sandbox) == 4
    monkeypatch.chdir(folder)
    assert (await run(sandbox, type(folder)("."))).status is ExitStatus.DONE
    assert sent_count(sandbox) == 4
    write(folder / "new.jsonl", lines(CHAT))
    write(folder / "chat.jsonl", lines(CHAT, CHAT))
    (folder / "deep/er/pairs.jsonl").unlink()
    result = await run(sandbox, folder)
    assert sent_count(sandbox) == 6
    assert result.dropped_count == 1
    assert set(states(result)) == {"chat.jsonl", "new.jsonl", "corpus/sea.jsonl", "corpus/\udcff.jsonl"}


async def test_a_purpose_stays(folder: Path, sandbox: Sandbox) -> None:
    """A file that was sent keeps its purpose in later runs, given or told by a person, and is not sent under another."""
    await run(
        sandbox, folder, mappings=("corpus/**=alignment", "*.md=alignment"), job=Job(manifest="", force=True)
    )
    before = sent_count(sandbox)
    result = await run(sandbox, folder)
    assert sent_count(sandbox) == before
    assert states(result)["README.md"] == "accepted"
    assert result.dropped_count == 0


async def test_a_part_of_a_folder_drops_nothing(folder: Path, sandbox: Sandbox) -> None:
    """A run of a few files, or of new ones, says nothing about the others: they stay in the job."""
    await run(sandbox, folder)
    ledger = f"{folder}@127.0.0.1-{sandbox.url.rpartition(':')[2]}.ledger.db"
    write(folder / "extra.jsonl", lines(CHAT))
    job = Job(manifest="", ledger=ledger)
    files = folder / "extra.jsonl", folder / "chat.jsonl"
    parts: list[tuple[tuple[Path, ...], dict[str, Any]]] = [
        (files, {}),
        ((folder,), {"newer_than_ns": (folder / "chat.jsonl").stat().st_mtime_ns}),
    ]
    for paths, options in parts:
        result = await run(sandbox, *paths, job=job, **options)
        assert result.status is ExitStatus.DONE
        assert result.dropped_count == 0
        assert len(states(result)) == 5
    assert sent_count(sandbox) == 5


async def test_a_part_of_an_uploaded_folder_belongs_to_its_job(folder: Path, sandbox: Sandbox) -> None:
    """A folder in one that was uploaded, and a new file in it, go on with that ledger: nothing is sent twice."""
    whole = await run(sandbox, folder)
    write(folder / "corpus/new.jsonl", lines(EXAMPLES["pre-train"]))
    for paths in ((folder / "corpus",), (folder / "corpus/sea.jsonl", folder / "corpus/new.jsonl")):
        result = await run(sandbox, *paths)
        assert result.ledger == whole.ledger
        assert result.dropped_count == 0
        assert sent_count(sandbox) == 5
    assert not (folder / "corpus.ledger.db").exists()


async def test_what_a_folder_above_does_not_have_is_a_job_of_its_own(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    """The ledger of a folder above counts only where it has files of this one: a home folder is not one job."""
    write(tmp_path / "home/a.jsonl", lines(CHAT))
    write(tmp_path / "home/project/b.jsonl", lines(CHAT))
    first = await run(sandbox, tmp_path / "home/a.jsonl")
    second = await run(sandbox, tmp_path / "home/project")
    assert first.ledger != second.ledger
    assert set(states(second)) == {"b.jsonl"}


async def test_an_unreadable_folder_drops_nothing(
    folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be looked into may still be there: its entries stay, and nobody would undo them as dropped."""
    await run(sandbox, folder)
    original = os.scandir

    def scandir(path: str) -> Any:
        if path.endswith("corpus"):
            raise PermissionError(13, "Permission denied")
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    result = await run(sandbox, folder)
    assert result.dropped_count == 0
    assert len(states(result)) == 4


async def test_what_is_excluded_is_no_part_of_the_job(folder: Path, sandbox: Sandbox) -> None:
    """A pattern says what the job is, in this run and the next."""
    result = await run(sandbox, folder, exclude=("corpus/",))
    assert set(states(result)) == {"chat.jsonl", "deep/er/pairs.jsonl"}
    result = await run(sandbox, folder, include=("corpus/",))
    assert set(states(result)) == {"corpus/sea.jsonl", "corpus/\udcff.jsonl"}
    assert result.dropped_count == 2
