"""What other programs run `validate` with: the hook of pre-commit, and the formats of GitHub."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.stage import run_here

HOOKS = (Path(__file__).parents[3] / ".pre-commit-hooks.yaml").read_text("utf-8")
GOOD = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "%d"}]}\n'


def value_of(key: str) -> str:
    """Return a value of the hook: one line of YAML, without quotes."""
    (value,) = re.findall(rf"^  {key}: (.*)$", HOOKS, re.MULTILINE)
    return str(value)


def test_the_hook_of_pre_commit_works(desk: Path) -> None:
    """Its entry, its arguments and then the names of files, as many as there are, is a command."""
    program, *words = value_of("entry").split()
    arguments = value_of("args").strip("[]").split(", ")
    assert program == "bulk-upload"
    (desk / "chats").mkdir()
    names = [f"chats/{index} é.jsonl" for index in range(3)]
    for index, name in enumerate(names):
        (desk / name).write_text(GOOD % index)
    ended = run_here(*words, *arguments, *names)
    assert (ended.status, ended.text) == (0, "")
    (desk / names[1]).write_text("{]\n")
    ended = run_here(*words, *arguments, *names)
    assert (ended.status, names[1] in ended.text) == (10, True)
    assert run_here(*words, *arguments, names[0]).status == 0


@pytest.mark.parametrize(
    ("name", "is_checked"),
    [
        ("data/a.jsonl", True),
        ("data/a.parquet", True),
        ("manifest.jsonl", False),
        ("x/manifest-2.jsonl", False),
        ("README.md", False),
    ],
)
def test_the_hook_takes_data_and_no_manifests(name: str, *, is_checked: bool) -> None:
    """A manifest is validated as one: its lines are no examples."""
    is_chosen = re.search(value_of("files"), name) is not None
    assert (is_chosen and re.search(value_of("exclude"), name) is None) is is_checked


def test_paths_start_from_the_current_folder(desk: Path) -> None:
    """That is the repository; those of a manifest start from its own folder."""
    (desk / "sub" / "data").mkdir(parents=True)
    (desk / "sub" / "data" / "bad.jsonl").write_text("{]\n")
    (desk / "sub" / "m.jsonl").write_text(
        '{"path": "data/bad.jsonl", "purpose": "fine-tune"}\n{"path": "no.jsonl", "purpose": "fine-tune"}\n'
    )
    ended = run_here("validate", "sub/m.jsonl", "--format", "github")
    assert ended.status == 10
    assert b"file=sub/data/bad.jsonl,line=1,col=2::" in ended.stdout
    assert b"file=sub/m.jsonl,line=2::" in ended.stdout
    log = json.loads(run_here("validate", "sub/m.jsonl", "--format", "sarif").stdout)
    places = [one["locations"][0]["physicalLocation"] for one in log["runs"][0]["results"]]
    assert {one["artifactLocation"]["uri"] for one in places} == {"sub/data/bad.jsonl", "sub/m.jsonl"}


def test_a_log_without_findings_is_one(desk: Path) -> None:
    """A scanner reads it, and closes what it had."""
    ended = run_here("validate", "good.jsonl", "--format", "sarif")
    assert (ended.status, json.loads(ended.stdout)["runs"][0]["results"]) == (0, [])
    assert run_here("validate", "good.jsonl", "--format", "github").stdout == b""


def test_two_formats_are_a_mistake(desk: Path) -> None:
    """`--json` is one of them."""
    assert run_here("validate", "good.jsonl", "--json", "--format", "json").status == 0
    assert run_here("validate", "good.jsonl", "--json", "--format", "sarif").status == 2
