"""README.md works as it stands: its lines are run one after the other, in the order and the words of the page."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from bulk_upload import ExitStatus, plan
from bulk_upload.sandbox import Sandbox, parse_faults, sandbox_in_thread
from tests.docs.stage import DOCS, blocks_of
from tests.docs.terminal import ASK, Terminal, terminal

README = DOCS.parent / "README.md"
USUAL_URL = "http://127.0.0.1:8099"
CHAT = '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "Yes."}]}\n'
TEXT = '{"text": "the sea"}\n'


def sent_to(sandbox: Sandbox) -> list[str]:
    """Return the names of the files that a server has."""
    return sorted(one.filename for one in sandbox.files)


def lay_out(folder: Path) -> None:
    """Make what the page takes for granted: the reader's data, and an environment as `venv` and `pip` make it."""
    for name, content in (
        ("datasets/a.jsonl", CHAT % "a"),
        ("datasets/more/b.jsonl", CHAT % "b"),
        ("datasets/corpus/sea.jsonl", TEXT),
        ("archive/old.jsonl", CHAT % "as it was"),
        (".venv/bin/activate", f'PATH="{folder}/.venv/bin:$PATH"\n'),
        (".venv/bin/bulk-upload", ASK),
        (".venv/bin/pip", '#!/bin/sh\ntest "$*" = "install ."\n'),
        ("installed/python3", '#!/bin/sh\ntest "$*" = "-m venv .venv"\n'),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o755)


def test_a_block_is_copied_as_a_whole() -> None:
    """No prompt is in the way, and no comment, which not every shell takes from its user."""
    blocks = blocks_of(README)
    assert {block.language for block in blocks} == {"bash", "json", "python"}
    lines = [line for block in blocks if block.language == "bash" for line in block.code.splitlines()]
    assert [line for line in lines if line.startswith(("$", ">", "#")) or " #" in line] == []


def test_the_lines_work_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against the sandbox every line goes well, and every file is sent once."""
    codes = [block.code for block in blocks_of(README)]
    install, folder, choice, manifest, example, after, limits, control, live, program = codes
    (to_sandbox,) = re.findall(r"`(export SEEKR_BASE_URL=\S+)`", README.read_text("utf-8"))
    stage = tmp_path / "stage"
    lay_out(stage)
    with (
        sandbox_in_thread() as sandbox,
        terminal(stage, "first", PATH=f"{stage}/installed:{os.environ['PATH']}") as first,
        terminal(stage, "other", PATH=f"{stage}/.venv/bin:{os.environ['PATH']}") as other,
    ):
        (demo,) = first.do(install)
        assert "The server has 6 files for 6 entries; the second run sent 0." in demo.stdout + demo.stderr
        for one in (first, other):
            one.do(to_sandbox.replace(USUAL_URL, sandbox.url))

        (run,) = first.do(folder)
        assert "Accepted 3 of 3 entries" in run.stderr
        looked, checked, again, status = first.do(choice)
        assert "0 errors" in checked.stdout + checked.stderr
        assert "3 settled, nothing to do" in looked.stdout
        assert "Nothing to do: all 3 entries were accepted before." in again.stderr
        assert "Every entry is accepted." in status.stdout
        first.do(manifest)
        assert sent_to(sandbox) == ["a.jsonl", "b.jsonl", "old.jsonl", "sea.jsonl"]
        check_results(stage)
        check_manifest(stage, example)

        verified, doubts, undone = first.do(after)
        assert "Every receipt matches the server" in verified.stderr
        assert "0 entries in doubt." in doubts.stderr
        assert "Would delete 3 files" in undone.stderr
        assert len(sandbox.files) == 4

        (stage / "datasets/new.jsonl").write_text(CHAT % "new")
        sandbox.use_faults(parse_faults("429:600"))
        change_a_run(first, limits, other, control)
        first.do(limits)
        assert "new.jsonl" in sent_to(sandbox), "it is resumed by the same line"
        watch_and_serve(other, live)

        monkeypatch.chdir(stage)
        monkeypatch.setenv("SEEKR_API_KEY", "any")
        monkeypatch.setenv("SEEKR_BASE_URL", sandbox.url)
        exec(program, {})
        assert capsys.readouterr().out.startswith("old.jsonl file-")
        assert sent_to(sandbox) == ["a.jsonl", "b.jsonl", "new.jsonl", "old.jsonl", "sea.jsonl"]


def change_a_run(first: Terminal, limits: str, other: Terminal, control: str) -> None:
    """Control a run that waits for the server from another terminal, then press Ctrl-C."""
    first.type(limits)
    run = first.started()
    assert run is not None
    run.until(lambda: "HTTP 429" in run.stderr, "the refusal", timeout_s=60)
    assert [one.stdout.split()[-1] for one in other.do(control)] == ["10MB/s", "paused", "resumed"]
    run.signal(signal.SIGINT)
    assert first.end(run).code == ExitStatus.INTERRUPTED
    assert first.started() is None


def watch_and_serve(other: Terminal, live: str) -> None:
    """Both find the job; the page is served until Ctrl-C."""
    other.type(live)
    watch = other.started()
    assert watch is not None
    assert other.end(watch).code == 0
    serve = other.started()
    assert serve is not None
    serve.until(
        lambda: "Live page: http://127.0.0.1:" in serve.stdout + serve.stderr, "the address", timeout_s=60
    )
    serve.signal(signal.SIGINT)
    assert other.end(serve).code == ExitStatus.DONE
    assert other.started() is None


def check_results(stage: Path) -> None:
    """The results are where the page says, with the columns that it names."""
    (of_folder,) = stage.glob("datasets*.results.csv")
    (of_manifest,) = (stage / "archive").glob("manifest*.results.csv")
    for path in (of_folder, of_manifest):
        columns = path.read_text("utf-8").splitlines()[0].split(",")
        assert {"path", "purpose", "status", "file_id", "bytes", "sha256"} <= set(columns)


def check_manifest(stage: Path, example: str) -> None:
    """The lines that the page shows are a manifest."""
    shown = stage / "shown"
    for name, content in (
        ("manifest.jsonl", example),
        ("train/chat-0001.jsonl", CHAT % "one"),
        ("handbook.pdf", "%PDF-1.7\n"),
    ):
        (shown / name).parent.mkdir(parents=True, exist_ok=True)
        (shown / name).write_text(content)
    names: list[str | None] = []
    plan(shown / "manifest.jsonl", on_entry=lambda one: names.append(one.entry.remote_name))
    assert names == [None, "handbook-2026.pdf"]


def test_the_exit_codes_are_those_of_the_commands() -> None:
    """The table has no code that no command ends with, and leaves out only those of a bug and of a wrong option."""
    table = README.read_text("utf-8").partition("## Exit codes\n")[2].partition("\n## ")[0]
    codes = {
        int(code) for row in re.findall(r"^\| ([0-9, ]+) \|", table, re.MULTILINE) for code in row.split(",")
    }
    assert codes == set(ExitStatus) - {ExitStatus.UNEXPECTED, ExitStatus.USAGE}
