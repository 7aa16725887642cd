"""Wrong arguments: each is named at the call with what to pass in its place, and nothing is sent."""

from __future__ import annotations

import datetime as dt
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload import (
    BulkUploadError,
    Entry,
    Job,
    LedgerUnusable,
    ManifestInvalid,
    RunSettings,
    Uploader,
    UsageError,
    plan,
    upload,
    upload_async,
)
from bulk_upload.core.run.plan import Step
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.library.scenes import manifest_of, text_files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a manifest of one file, and a folder of data."""
    manifest_of(tmp_path, 1)
    text_files(tmp_path / "folder", 1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def entries_one_by_one() -> AsyncIterator[str]:
    yield "file-0.jsonl"


async def listen(_: object) -> None:
    """Do nothing: nobody would await it."""


@pytest.mark.parametrize(
    ("what", "options", "words", "hint"),
    [
        (None, {}, "of the type NoneType", "pass the path of a folder"),
        ({"path": "a", "purpose": "fine-tune"}, {}, "of the type dict", "a list of entries, also for one"),
        (entries_one_by_one(), {"ledger": "l.db"}, "of the type async_generator", "async for"),
        (b"manifest.jsonl", {}, "of the type bytes", "pass the path"),
        ([b"file-0.jsonl"], {"ledger": "l.db"}, "entry 1 is of the type bytes", "a path"),
        ([None], {"ledger": "l.db"}, "entry 1 is of the type NoneType", "a path"),
        ("no-folder", {}, 'cannot read "no-folder"', "relative paths start from"),
        ("gone.jsonl", {"purpose": "fine-tune"}, "there is no such file or folder", "relative paths"),
        ("file-0.jsonl", {"purpose": "pretrain"}, "not a known purpose", 'Did you mean "pre-train"'),
        ("folder", {"purpose": "fine_tune"}, "not a known purpose", 'Did you mean "fine-tune"'),
        ("file-0.jsonl", {"purpose": 7}, "purpose is of the type int", "a string"),
        (
            ["file-0.jsonl"],
            {"purpose": ["pre-train"], "ledger": "l.db"},
            "purpose is of the type list",
            "string",
        ),
        ("manifest.jsonl", {"ledger": 7}, "ledger is of the type int", "pathlib.Path"),
        ("manifest.jsonl", {"ledger": ""}, "ledger cannot be ''", "the path of a file"),
        ("manifest.jsonl", {"ledger": "a\0b"}, "ledger cannot be", "the path of a file"),
        ("manifest.jsonl", {"root": 7}, "root is of the type int", "pathlib.Path"),
        ("manifest.jsonl", {"force": "no"}, "force cannot be 'no'", "True or False"),
        ("manifest.jsonl", {"private": 1}, "private cannot be 1", "True or False"),
        ("manifest.jsonl", {"follow_symlinks": None}, "follow_symlinks cannot be None", "True or False"),
        ("manifest.jsonl", {"name_template": 7}, "name_template is of the type int", "a string"),
        ("folder", {"mapping": "*.jsonl=pre-train"}, "mapping must be a dict", "mapping={"),
        ("folder", {"mapping": None}, "mapping must be a dict", "mapping={"),
        ("folder", {"mapping": {"*": 7}}, "mapping must be a dict", "mapping={"),
        ("folder", {"include": "*.jsonl"}, "include is a string", "include=['*.jsonl']"),
        ("folder", {"include": None}, "include must be a list", "include=["),
        ("folder", {"exclude": [7]}, "exclude must be a list", "exclude=["),
        ("folder", {"exclude": b"*"}, "exclude must be a list", "exclude=["),
        ("folder", {"newer_than": "2026-11-01"}, "newer_than is of the type str", "datetime("),
        ("folder", {"newer_than": dt.date(2026, 11, 1)}, "newer_than is of the type date", "datetime("),
        ("manifest.jsonl", {"progress": "yes"}, "progress cannot be of the type str", "True or False"),
        ("manifest.jsonl", {"progress": 1}, "progress cannot be 1", "True or False"),
        ("manifest.jsonl", {"base_url": 7}, "base_url cannot be 7", "address"),
        ("manifest.jsonl", {"profile": "flow"}, "profile cannot be of the type str", "a Profile"),
        ("manifest.jsonl", {"team": 7}, "team cannot be 7", "a string"),
        ("manifest.jsonl", {"settings": {}}, "settings cannot be of the type dict", "RunSettings"),
        ("manifest.jsonl", {"stall_s": "5"}, "stall_s cannot be of the type str", "seconds above 0"),
        ("manifest.jsonl", {"stall_s": 0}, "stall_s cannot be 0", "seconds above 0"),
        ("manifest.jsonl", {"answer_s": -1}, "answer_s cannot be -1", "seconds above 0"),
        ("manifest.jsonl", {"min_bytes_per_s": float("nan")}, "min_bytes_per_s cannot be nan", "at least 0"),
        ("manifest.jsonl", {"allow_plain_http": "no"}, "allow_plain_http cannot be", "True or False"),
        ("manifest.jsonl", {"purposes": []}, "purposes cannot be of the type list", "a mapping"),
        ("manifest.jsonl", {"on_event": "print"}, "on_event cannot be of the type str", "a plain function"),
        (
            "manifest.jsonl",
            {"on_event": listen},
            "on_event cannot be of the type function",
            "not a coroutine",
        ),
        ("manifest.jsonl", {"tracer": "x"}, "tracer cannot be of the type str", "get_tracer"),
        ("manifest.jsonl", {"meter": "x"}, "meter cannot be of the type str", "get_meter"),
        ("manifest.jsonl", {"clock": "x"}, "clock cannot be of the type str", "a clock"),
    ],
)
@pytest.mark.usefixtures("desk")
def test_a_wrong_argument_is_named(what: Any, options: dict[str, Any], words: str, hint: str) -> None:
    """The message says which and why not, the hint what to pass."""
    given = {"api_key": "key", "base_url": NOWHERE, **options}
    with pytest.raises(UsageError) as caught:
        upload(what, **given)
    assert words in str(caught.value)
    assert hint in str(caught.value.hint)


async def test_the_other_calls_say_the_same(desk: Path) -> None:
    """Not `upload` alone: its twin, a plan, an uploader and a Job refuse the same arguments with the same words."""
    options: dict[str, Any] = {"api_key": "key", "base_url": NOWHERE}
    with pytest.raises(UsageError, match="progress cannot be"):
        await upload_async("manifest.jsonl", progress="yes", **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="force cannot be 'no'"):
        plan("manifest.jsonl", force="no", **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="profile cannot be"):
        plan("manifest.jsonl", profile="flow", api_key="key")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="profile cannot be"):
        Uploader.from_env(profile="flow")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="mapping must be a dict"):
        Uploader(**options).run(desk / "folder", mapping=7)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="strict_paths cannot be 'no'"):
        Job("manifest.jsonl", strict_paths="no")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="entries is of the type str"):
        Job(entries="a.jsonl")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="entry 2 is of the type dict"):
        Job(entries=[Entry(path="a", purpose="p"), {"path": "b"}])  # type: ignore[list-item]


def test_an_open_file_is_no_manifest(desk: Path) -> None:
    """It would be taken for a list of its lines."""
    with (
        (desk / "manifest.jsonl").open() as opened,
        pytest.raises(UsageError, match="TextIOWrapper") as caught,
    ):
        upload(opened, ledger="l.db", api_key="key", base_url=NOWHERE)
    assert "the path of the file" in str(caught.value.hint)


@pytest.mark.usefixtures("desk")
def test_an_unknown_argument_is_a_type_error() -> None:
    """As for any function; the name that is probably meant is there, whatever it belongs to."""
    for wrong, right in (("purposs", "purpose"), ("api_kye", "api_key"), ("concurency", "concurrency")):
        for call in (upload, plan):
            with pytest.raises(TypeError, match=f"'{wrong}'.*{right}"):
                call("manifest.jsonl", **{wrong: "x"})  # type: ignore[arg-type]


def test_what_a_proxy_was_meant_to_be_is_not_shown(desk: Path) -> None:
    """Its address may hold a password."""
    with pytest.raises(UsageError, match="network cannot be of the type str") as caught:
        upload("manifest.jsonl", api_key="key", network="http://me:secret@proxy")  # type: ignore[arg-type]
    assert "secret" not in "".join(traceback.format_exception_only(caught.value))


def test_a_folder_is_no_ledger(desk: Path) -> None:
    """Nor is a data file, or a file in a folder that is not there."""
    for ledger in ("folder", "file-0.jsonl", "nowhere/l.db"):
        with pytest.raises(LedgerUnusable) as caught:
            upload("manifest.jsonl", ledger=ledger, api_key="key", base_url=NOWHERE)
        assert ledger.partition("/")[0] in str(caught.value)
        assert caught.value.hint
    assert (desk / "file-0.jsonl").read_text().startswith("{")


def test_entries_named_twice_are_findings(desk: Path) -> None:
    """A file has one entry, however its path is written; a traceback names the entries and what to do."""
    entries: Any = ["file-0.jsonl", Path("file-0.jsonl"), str(desk / "file-0.jsonl"), "./file-0.jsonl"]
    with pytest.raises(ManifestInvalid) as caught:
        upload(entries, purpose="pre-train", ledger="l.db", api_key="key", base_url=NOWHERE)
    assert caught.value.finding_count == 3
    shown = "".join(traceback.format_exception_only(caught.value))
    assert all(str(one) in shown for one in caught.value.findings)
    assert f"hint: {caught.value.hint}" in shown


def test_a_traceback_has_the_first_findings_only() -> None:
    """Ten lines are read, a thousand are not; an error without a hint has no note."""
    assert not hasattr(BulkUploadError("x"), "__notes__")
    many = ManifestInvalid("m", finding_count=7)
    assert not hasattr(many, "__notes__")


def test_a_generator_is_a_list_of_entries(desk: Path) -> None:
    """It is taken in at the call; what it raises is raised."""

    def names() -> Iterator[str]:
        yield "file-0.jsonl"

    def broken() -> Iterator[str]:
        yield "file-0.jsonl"
        raise ZeroDivisionError

    with sandbox_in_thread(SandboxConfig()) as sandbox:
        options: dict[str, Any] = {"purpose": "pre-train", "api_key": "key", "base_url": sandbox.url}
        assert upload(names(), ledger="l.db", **options).file_id == sandbox.files[0].file_id
        with pytest.raises(ZeroDivisionError):
            upload(broken(), ledger="m.db", **options)
    assert not (desk / "m.db").exists()


def test_a_plan_takes_what_upload_takes(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same arguments: key, settings and environment say which ledger is read, and what would be sent again."""
    with sandbox_in_thread(SandboxConfig(faults=parse_faults("422"))) as sandbox:
        options: dict[str, Any] = {"api_key": "key", "base_url": sandbox.url, "concurrency": 1}
        assert upload("manifest.jsonl", **options).failures
        requests = sandbox.request_count
        assert plan("manifest.jsonl", **options).total(Step.SEND).entry_count == 0
        assert plan("manifest.jsonl", retry=["rejected"], **options).total(Step.SEND).entry_count == 1
        settings = RunSettings(retry=frozenset({"rejected"}))  # type: ignore[arg-type]
        assert plan("manifest.jsonl", settings=settings, **options).total(Step.SEND).entry_count == 1
        monkeypatch.setenv("SEEKR_BASE_URL", sandbox.url)
        assert plan("manifest.jsonl").total(Step.SEND).entry_count == 0
        assert sandbox.request_count == requests
