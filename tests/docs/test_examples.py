"""The programs in docs/examples: each is short, and does what it says against a real server."""

from __future__ import annotations

import asyncio
import json
import runpy
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload import ExportRow, read_ledger, upload
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.sandbox import Sandbox

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PROGRAMS = sorted(EXAMPLES.glob("*.py"))
LINES_MAX = 10
CHAT = '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "yes"}]}\n'
COUNT = 3


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A server that the environment names, and files and their manifest in the current folder."""
    (tmp_path / "data").mkdir()
    names = [f"data/{number}.jsonl" for number in range(COUNT)]
    for name in names:
        (tmp_path / name).write_text(CHAT % name)
    lines = [json.dumps({"path": name, "purpose": "fine-tune"}) for name in names]
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    with sandbox_in_thread(SandboxConfig()) as running:
        monkeypatch.setenv("SEEKR_API_KEY", "key")
        monkeypatch.setenv("SEEKR_BASE_URL", running.url)
        yield running


def run(name: str) -> dict[str, Any]:
    """Run a program as Python does; return its names."""
    return runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_is_short_and_in_the_list(program: Path) -> None:
    """At most ten lines beside what it says it is, and a line in the page of examples."""
    said, _, code = program.read_text("utf-8").partition('"""\n\n')
    assert said.startswith('"""')
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith("# %%")]
    assert len(lines) <= LINES_MAX
    assert f"]({program.name})" in (EXAMPLES / "README.md").read_text("utf-8")


def test_script(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is the verdict."""
    with pytest.raises(SystemExit) as caught:
        run("script.py")
    assert caught.value.code == 0
    assert capsys.readouterr().out == "3 of 3 entries accepted\n"
    sandbox.use_faults(parse_faults("422*9"))
    Path("data/0.jsonl").write_text(CHAT % "another")
    with pytest.raises(SystemExit) as caught:
        run("script.py")
    assert caught.value.code == 3


def test_one_file(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Each file has its id, and has it again."""
    run("one_file.py")
    first = capsys.readouterr().out
    run("one_file.py")
    assert capsys.readouterr().out == first
    assert {one.file_id for one in sandbox.files} == {line.split()[1] for line in first.splitlines()}


def test_folder(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Files of a known kind are uploaded; another one is named."""
    Path("data/notes.txt").write_text("")
    assert len(run("folder.py")["result"].accepted) == COUNT
    assert capsys.readouterr().out.startswith("left out 1 file without a purpose (notes.txt)")


def test_notebook(sandbox: Sandbox) -> None:
    """All cells together are a program as well."""
    result = run("notebook.py")["result"]
    assert {row.file_id for row in result.accepted} == {one.file_id for one in sandbox.files}


def test_retry_failures(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """What was rejected is sent again in the same program."""
    sandbox.use_faults(parse_faults("422*3"))
    assert run("retry_failures.py")["result"].ok
    assert capsys.readouterr().out == ""
    assert len(sandbox.files) == COUNT


def test_thread(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The result comes out of the thread."""
    run("thread.py")
    assert capsys.readouterr().out == "something else\n3 of 3 entries accepted\n"


def test_two_accounts(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ledgers are complete."""
    for name in ("RED", "BLUE"):
        monkeypatch.setenv(f"{name}_API_KEY", name)
        monkeypatch.setenv(f"{name}_BASE_URL", sandbox.url)
    run("two_accounts.py")
    for name in ("RED", "BLUE"):
        assert [row["status"] for row in read_ledger(f"{name}.ledger.db")] == ["accepted"] * COUNT
    assert len(sandbox.files) == 2 * COUNT


def test_custom_progress(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Accepted and rejected entries are shown as they come."""
    sandbox.use_faults(parse_faults("422"))
    run("custom_progress.py")
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[0] for line in lines) == ["accepted", "accepted", "rejected"]
    assert any("HTTP 422" in line for line in lines)


def test_dry_run(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is sent, and nothing is left behind."""
    run("dry_run.py")
    assert "send data/0.jsonl new" in capsys.readouterr().out
    assert sandbox.request_count == 0
    assert not list(Path().glob("*.db"))


def test_ledger_to_dataframe(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows are what `DataFrame` takes: a list of dicts with one set of keys."""
    upload("manifest.jsonl", ledger="manifest.ledger.db")
    stub(monkeypatch, "pandas").DataFrame = list
    frame = run("ledger_to_dataframe.py")["frame"]
    assert {tuple(row) for row in frame} == {ExportRow._fields}
    assert [row["status"] for row in frame] == ["accepted"] * COUNT
    assert "data/0.jsonl" in capsys.readouterr().out


def test_airflow_task(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task returns its counts; what a retry cannot help is an error that Airflow does not retry."""

    class AirflowFailException(Exception):
        pass

    stub(monkeypatch, "airflow")
    stub(monkeypatch, "airflow.decorators").task = lambda **_: lambda function: function
    stub(monkeypatch, "airflow.exceptions").AirflowFailException = AirflowFailException
    task = run("airflow_task.py")["upload_exports"]
    assert task("manifest.jsonl", "job.ledger.db") == {"accepted": COUNT}
    sandbox.use_faults(parse_faults("422*9"))
    with pytest.raises(AirflowFailException, match="3 rejected"):
        task("manifest.jsonl", "other.ledger.db")


def test_fastapi_job(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request adds a job, the job uploads, and the other request sees it."""

    class FastAPI:
        def post(self, path: str) -> Any:
            return lambda function: function

        get = post

    class BackgroundTasks:
        added: tuple[Any, ...] = ()

        def add_task(self, function: Any, *args: Any, **options: Any) -> None:
            self.added = (function, args, options)

    module = stub(monkeypatch, "fastapi")
    module.FastAPI, module.BackgroundTasks = FastAPI, BackgroundTasks
    names = run("fastapi_job.py")
    jobs = BackgroundTasks()

    async def whole() -> None:
        await names["start"](jobs)
        function, args, options = jobs.added
        await function(*args, **options)

    asyncio.run(whole())
    assert len(names["rows"]()) == COUNT


def stub(monkeypatch: pytest.MonkeyPatch, name: str) -> Any:
    """Return an empty module that programs import under a name, in place of a heavy one."""
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    return module
