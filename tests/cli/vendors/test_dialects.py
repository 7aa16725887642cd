"""Other vendors' dialects over real connections: each is a profile of a few lines, and none of them needs code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import KEY, run_here
from tests.fakes.vendor import Dialect, Vendor, vendor

LEDGER = "m.ledger.db"
VARIABLES = {"MINE_API_KEY": KEY}
DIALECTS: dict[str, tuple[Dialect, dict[str, Any]]] = {
    "offset": (Dialect(paging="offset", unix_times=False), {"paging": "offset"}),
    "after": (Dialect(paging="after", success=201), {"paging": "after", "complete": "one-page"}),
    "next-page": (
        Dialect(paging="next-page", purpose_field=None, size_field="size_bytes", unix_times=False),
        {"paging": "next-page", "purpose-field": None, "purposes": ["file"], "size-field": "size_bytes"},
    ),
    "page": (Dialect(paging="page"), {"paging": "page", "newest-first": False}),
    "none": (Dialect(paging="none", upload_path="/v1/files/upload"), {"upload-path": "/v1/files/upload"}),
}


def profile(server: Vendor, **changes: object) -> str:
    """Return the text of bulk-upload.toml with a profile for a server; None leaves a key out."""
    keys: dict[str, Any] = {
        "base-url": server.url,
        "method": "POST",
        "files-path": "/v1/files",
        "file-field": "file",
        "purpose-field": "purpose",
        "purposes": ["batch", "assistants"],
        "can-list": True,
        "paging": server.dialect.paging,
        "keeps-names": True,
        "list-page": 3,
        "key-variable": "MINE_API_KEY",
    }
    keys |= {key.replace("_", "-"): value for key, value in changes.items()}
    # A JSON value is a TOML value, but for tables.
    lines = [f"{key} = {_toml(value)}" for key, value in keys.items() if value is not None]
    return '[defaults]\nprofile = "mine"\n[profiles.mine]\n' + "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {json.dumps(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with eight files."""
    monkeypatch.chdir(tmp_path)
    for number in range(8):
        (tmp_path / f"{number}.jsonl").write_text(f'{{"custom_id": "{number}"}}\n' * (number + 1))
    return tmp_path


def set_up(desk: Path, server: Vendor, *, purpose: str = "batch", **changes: object) -> None:
    """Write a profile for the server, and a manifest of all files."""
    (desk / "bulk-upload.toml").write_text(profile(server, **changes))
    names = sorted(path.name for path in desk.glob("*.jsonl") if path.name != "m.jsonl")
    rows = [json.dumps({"path": name, "purpose": purpose}) for name in names]
    (desk / "m.jsonl").write_text("\n".join(rows) + "\n")


def run(*words: str) -> Any:
    """Run the job."""
    return run_here("run", "m.jsonl", "--ledger", LEDGER, "--settle", "0s", *words, **VARIABLES)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_job_in_each_dialect(name: str, desk: Path) -> None:
    """Uploaded, an answer lost and found again in the list, verified with its contents, and deleted."""
    dialect, changes = DIALECTS[name]
    with vendor(dialect) as server:
        purpose = "file" if dialect.purpose_field is None else "batch"
        set_up(desk, server, purpose=purpose, **changes)
        server.stores_before_answers = True
        server.answers = [(500, {}, {})]
        ended = run("--concurrency", "1")
        assert ended.status == 0, ended.stderr
        assert sorted(server.names) == [f"{number}.jsonl" for number in range(8)]
        assert "1 entry accepted through the server's list" in ended.stderr
        pages = [
            path for method, path, _ in server.heads if method == "GET" and path.startswith("/v1/files?")
        ]
        assert len(pages) >= (0 if name == "none" else 3)
        ended = run_here("verify", LEDGER, "--content", **VARIABLES)
        assert ended.status == 0, ended.text
        assert "Files in the server's list: 8. Downloaded and compared: 8." in ended.stderr
        listed = run_here("files", "ls", "--ledger", LEDGER, **VARIABLES)
        assert len(listed.stdout.splitlines()) == 8
        assert run_here("undo", LEDGER, "--adopted", "--yes", **VARIABLES).status == 0
        assert server.files == []


def test_fixed_headers_query_and_fields_go_with_each_request(desk: Path) -> None:
    """Headers and parameters with every request, form fields with uploads; an entry's own field replaces one."""
    with vendor() as server:
        set_up(
            desk,
            server,
            headers={"x-version": "2"},
            query={"api-version": "v1"},
            form={"visibility": "user", "tag": "fixed"},
            auth_header="x-key",
            auth_prefix="",
        )
        row = {"path": "0.jsonl", "purpose": "batch", "fields": {"tag": "own"}}
        (desk / "m.jsonl").write_text(json.dumps(row) + "\n")
        assert run().status == 0
        assert run_here("verify", LEDGER, "--content", **VARIABLES).status == 0
        assert len(server.heads) >= 3
        for _, path, headers in server.heads:
            assert "api-version=v1" in path
            assert (headers["x-version"], headers["x-key"]) == ("2", KEY)
        assert server.forms == [{"purpose": "batch", "visibility": "user", "tag": "own"}]


def test_a_body_may_be_the_file_alone(desk: Path) -> None:
    """The name, the purpose and the fixed fields are then in the address; an empty file is no exception."""
    (desk / "naïve & ä.jsonl").write_text('{"custom_id": "9"}\n')
    (desk / "large.jsonl").write_text('{"custom_id": "large"}\n' * 200_000)
    (desk / "empty.txt").touch()
    with vendor(Dialect(raw=True, file_field="name")) as server:
        set_up(
            desk, server, body="raw", file_field="name", form={"tag": "fixed"}, query={"api-version": "v1"}
        )
        with (desk / "m.jsonl").open("a") as manifest:
            manifest.write('{"path": "empty.txt", "purpose": "batch"}\n')
        server.stores_before_answers = True
        server.answers = [(500, {}, {})]
        ended = run("--concurrency", "1", "--validate", "off")
        assert ended.status == 0, ended.stderr
        assert "1 entry accepted through the server's list" in ended.stderr
        assert {
            "name": "naïve & ä.jsonl",
            "purpose": "batch",
            "tag": "fixed",
            "api-version": "v1",
        } in server.forms
        uploads = [headers for method, _, headers in server.heads if method == "POST"]
        assert {one["Content-Type"] for one in uploads} == {"application/octet-stream"}
        assert len(server.files) == 11
        ended = run_here("verify", LEDGER, "--content", **VARIABLES)
        assert ended.status == 0, ended.text
        assert "Downloaded and compared: 11." in ended.stderr


def test_an_account_and_a_container_are_in_the_paths(desk: Path) -> None:
    """Ids that are the same for all files are written into the profile's paths."""
    dialect = Dialect(
        files_path="/v1/accounts/acme/datasets/d-1/files", upload_path="/v1/accounts/acme/datasets/d-1:upload"
    )
    with vendor(dialect) as server:
        set_up(desk, server, files_path=dialect.files_path, upload_path=dialect.upload_path)
        assert run().status == 0
        assert run_here("verify", LEDGER, "--content", **VARIABLES).status == 0
        assert run_here("undo", LEDGER, "--yes", **VARIABLES).status == 0
        assert {
            path.partition("?")[0].rpartition("/")[0]
            for method, path, _ in server.heads
            if method == "DELETE"
        } == {dialect.files_path}
        assert server.files == []


def test_a_first_step_that_redirects_ends_the_run(desk: Path) -> None:
    """An API of several steps answers the first one with where the bytes go: no host but the profile's gets them."""
    with vendor() as server, vendor() as storage:
        set_up(desk, server)
        server.answers = [(302, {}, {"Location": f"{storage.url}/v1/files", "X-File-Id": "file-1"})] * 8
        ended = run("--concurrency", "1")
        assert ended.status == ExitStatus.UNFINISHED, ended.stderr
        assert f"redirects uploads to {storage.url.removeprefix('http://')} (HTTP 302)" in ended.stderr
        assert (len(server.forms), server.files, storage.heads) == (1, [], [])
        server.answers = []
        assert run().status == 0
        assert len(server.files) == 8


def test_only_names_that_survive_are_sent(desk: Path) -> None:
    """A server that sanitises names has the names that were sent: nothing is renamed, and lost answers are found."""
    for number, name in enumerate(["naïve ä.jsonl", ".hidden.jsonl", "a..b.jsonl", "日本.jsonl"]):
        (desk / name).write_text(f'{{"custom_id": "x{number}"}}\n' * (20 + number))
    with vendor(Dialect(sanitises=True)) as server:
        set_up(desk, server, name_alphabet="portable")
        server.stores_before_answers = True
        server.answers = [(500, {}, {})] * 2
        assert run("--concurrency", "1").status == 0
        assert sorted(server.names)[8:] == ["__.jsonl", "_hidden.jsonl", "a__b.jsonl", "naive_a.jsonl"]
        assert len(server.files) == 12
        ended = run_here("verify", LEDGER, **VARIABLES)
        assert ended.status == 0, ended.text


def test_names_that_become_one_are_twins(desk: Path) -> None:
    """They are sent one at a time, and each gets its own file."""
    for name in ("ä.jsonl", "á.jsonl"):
        (desk / name).write_text('{"custom_id": "same"}\n' * 30)
    with vendor() as server:
        set_up(desk, server, name_alphabet="portable")
        ended = run_here("plan", "m.jsonl", "--ledger", LEDGER, "--json", **VARIABLES)
        assert json.loads(ended.stdout)["twin_count"] == 2
        assert run().status == 0
        assert server.names.count("a.jsonl") == 2


def test_a_server_that_renames_has_no_differences_for_good(desk: Path) -> None:
    """Where the profile says that names are not kept, `verify` says so once."""
    (desk / "a b.jsonl").write_text('{"custom_id": "9"}\n')
    with vendor(Dialect(sanitises=True)) as server:
        set_up(desk, server, keeps_names=False)
        assert run().status == 0
        ended = run_here("verify", LEDGER, **VARIABLES)
        assert ended.status == 0, ended.text
        assert "Names were not compared" in ended.stderr


@pytest.mark.parametrize("says", [True, ["batch"]], ids=["asked", "known"])
def test_contents_that_may_not_be_read_are_counted(desk: Path, says: object) -> None:
    """Some purposes are not returned: `verify --content` compares the others, whether the profile knows it or not."""
    with vendor(Dialect(contents=("batch",))) as server:
        set_up(desk, server, can_read_back=says)
        rows = [
            json.dumps({"path": f"{number}.jsonl", "purpose": "assistants" if number < 3 else "batch"})
            for number in range(8)
        ]
        (desk / "m.jsonl").write_text("\n".join(rows) + "\n")
        assert run().status == 0
        ended = run_here("verify", LEDGER, "--content", **VARIABLES)
        assert ended.status == 0, ended.text
        assert "Downloaded and compared: 5." in ended.stderr
        assert "does not return their content: 3" in ended.stderr


def test_a_final_code_ends_the_run_and_settles_nothing(desk: Path) -> None:
    """A person must act; nothing is sent after it, and the same command goes on."""
    quota = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    with vendor() as server:
        set_up(desk, server, final_codes=["insufficient_quota"])
        server.answers = [(429, quota, {})]
        ended = run("--concurrency", "1")
        assert ended.status == ExitStatus.UNFINISHED, ended.stderr
        assert "takes no more from this account" in ended.stderr
        assert len(server.forms) == 1
        assert run().status == 0
        assert len(server.files) == 8


def test_a_conflict_that_passes_is_tried_again(desk: Path) -> None:
    """A lock, as some SDKs read a 409."""
    with vendor() as server:
        set_up(desk, server, conflict="retry")
        server.answers = [(409, {"error": {"message": "locked"}}, {})]
        assert run("--concurrency", "1").status == 0
        assert len(server.files) == 8


def test_a_file_that_is_there_already_is_adopted_once(desk: Path) -> None:
    """A 409 that names a file: it is the receipt if nobody has it, and of the second with that content there is none."""
    for name in ("sub/0.jsonl", "9.jsonl"):
        (desk / name).parent.mkdir(exist_ok=True)
        (desk / name).write_bytes((desk / "0.jsonl").read_bytes())
    with vendor(Dialect(knows_contents=True)) as server:
        set_up(desk, server, conflict="adopt:file_id")
        with (desk / "m.jsonl").open("a") as manifest:
            manifest.write('{"path": "sub/0.jsonl", "purpose": "batch"}\n')
        server.stores_before_answers = True
        # Stored, and refused all the same: the next attempt is told which file it is.
        server.answers = [(503, {}, {"Retry-After": "0"})]
        ended = run("--concurrency", "1")
        assert ended.status == ExitStatus.SOME_FAILED, ended.stderr
        rows = [
            json.loads(line)
            for line in run_here("ledger", "export", LEDGER, "--format", "jsonl").stdout.splitlines()
        ]
        refused = {one["path"]: one["reason"] for one in rows if one["status"] != "accepted"}
        assert {one["status"] for one in rows if one["path"] in refused} == {"rejected"}
        assert sorted(refused) == ["9.jsonl", "sub/0.jsonl"]
        assert len(server.files) == 8
        # By name, or because the receipt of the first was there already: its second attempt may come before or after.
        assert "'0.jsonl'" in refused["9.jsonl"] or "the receipt of another entry" in refused["9.jsonl"]
        assert "is the receipt of another entry" in refused["sub/0.jsonl"]
        assert run_here("verify", LEDGER, "--content", **VARIABLES).status == 0
        # Its file is the other's: `undo` keeps what was adopted, and deletes no file twice.
        assert run_here("undo", LEDGER, "--yes", "--adopted", **VARIABLES).status == 0
        assert server.files == []


def test_what_one_page_does_not_show_is_not_sent_again(desk: Path) -> None:
    """A cursor may skip files: a list in several pages leaves the doubt to a person, and says why."""
    with vendor() as server:
        set_up(desk, server, complete="one-page")
        assert run().status == 0
        (desk / "new.jsonl").write_text('{"custom_id": "new"}\n' * 50)
        set_up(desk, server, complete="one-page")
        server.answers = [(500, {}, {})]
        ended = run("--settle", "0s")
        assert ended.status == ExitStatus.IN_DOUBT, ended.stderr
        assert "may skip files between pages" in ended.stderr
        # With room for all of them in one page it is known that the file is not there.
        set_up(desk, server, complete="one-page", list_page=100)
        assert run().status == 0
        assert server.names.count("new.jsonl") == 1
