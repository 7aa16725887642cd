"""`bulk-upload validate`: findings of all files, totals, quarantine, exit codes."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
from pathlib import Path

import pytest

from bulk_upload.core.validation.rules import RULES
from bulk_upload.report.live.data_findings import JSON_KEYS
from tests.cli.stage import run_here, run_process

DOCS = Path(__file__).parents[3] / "docs" / "how-to" / "validation.md"
GOOD = '{"messages": [{"role": "user", "content": "a %d"}, {"role": "assistant", "content": "b"}]}\n'
BAD = '{"messages": [{"role": "user", "content": "a"}, {"role": "gpt", "content": "b"}]}\n'


@pytest.fixture
def mixed(desk: Path) -> Path:
    """A manifest of one good and one bad file, and of lines that name none."""
    (desk / "data" / "chat.jsonl").write_text(GOOD % 1 + BAD + GOOD % 2 + "{]\n")
    manifest = desk / "mixed.jsonl"
    manifest.write_text(
        '{"path": "data/a.jsonl", "purpose": "pre-train"}\n'
        '{"path": "data/chat.jsonl", "purpose": "fine-tune"}\n'
        '{"path": "data/none.jsonl", "purpose": "fine-tune"}\n'
        '{"path": "data/a.jsonl", "purpose": "fine-toon"}\n'
    )
    return manifest


def test_good_files_end_with_0(desk: Path) -> None:
    """Nothing on standard output, totals on standard error."""
    ended = run_here("validate", "good.jsonl")
    assert (ended.status, ended.stdout) == (0, b"")
    assert ended.stderr == "2 files, 3 lines, 50 B: 0 errors, 0 warnings\n"
    assert run_here("validate", "good.csv", "--quiet").stderr == ""


def test_everything_is_found_and_ends_with_10(mixed: Path) -> None:
    """Manifest lines and data lines alike, each with its place and its remedy; the rest is validated all the same."""
    ended = run_here("validate", str(mixed))
    text = ended.stdout.decode()
    assert ended.status == 10
    assert "mixed.jsonl:3 [path]: there is no file" in text
    assert "mixed.jsonl:4 [purpose]:" in text
    assert "error: wrong-role on 1 of 4 lines in 1 file, first in data/chat.jsonl:2\n" in text
    assert '  data/chat.jsonl:2 [$.messages[1].role]: the role "gpt"' in text
    assert (
        '    -> Write "assistant" for it: bulk-upload convert data/chat.jsonl --purpose fine-tune\n' in text
    )
    assert "  data/chat.jsonl:4 [column 2]: not JSON" in text
    assert ended.stderr == "2 files, 5 lines, 281 B: 4 errors, 0 warnings in 1 invalid file\n"


def test_json_lines_as_documented(mixed: Path) -> None:
    """Each finding is one line with the documented keys."""
    ended = run_here("validate", "--format", "json", str(mixed))
    lines = [json.loads(line) for line in ended.stdout.decode().splitlines()]
    assert all(list(line) == list(JSON_KEYS) for line in lines)
    assert [
        (line["file"].rpartition("/")[2], line["line"], line["path"], line["rule"]) for line in lines
    ] == [
        ("mixed.jsonl", 3, "path", "missing-file"),
        ("mixed.jsonl", 4, "purpose", "unknown-purpose"),
        ("chat.jsonl", 2, "$.messages[1].role", "wrong-role"),
        ("chat.jsonl", 4, "column 2", "bad-json"),
    ]
    assert (lines[3]["column"], lines[3]["byte_offset"]) == (2, len(GOOD % 1) * 2 + len(BAD) + 1)


def test_what_is_only_counted_is_a_line_of_its_own(desk: Path) -> None:
    """Of a rule that is broken thousands of times the rest is told as a number, in both formats."""
    (desk / "bad.jsonl").write_text("".join(BAD.replace('"a"', f'"{n}"') for n in range(3000)))
    ended = run_here("validate", "bad.jsonl", "--purpose", "fine-tune", "--format", "json")
    last = json.loads(ended.stdout.splitlines()[-1])
    assert (last["rule"], last["line"], last["count"]) == ("wrong-role", None, 2950)
    text = run_here("validate", "bad.jsonl", "--purpose", "fine-tune").stdout.decode()
    assert text.startswith("error: wrong-role on 3,000 of 3,000 lines in 1 file, first in bad.jsonl:1\n")
    assert "  and 2,990 more; --json lists findings one by one\n" in text


def test_a_mixup_comes_first_and_rules_are_grouped(desk: Path) -> None:
    """Whatever was found before: the file of another purpose, errors, warnings; each rule once, over all files."""
    asked_on = (GOOD % 1).replace(
        "}]", '}, {"role": "user", "content": "c"}, {"role": "user", "content": "d"}]'
    )
    (desk / "a.jsonl").write_text(asked_on * 2 + "{]\n" + GOOD % 2)
    (desk / "b.jsonl").write_text(asked_on)
    (desk / "z.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    ended = run_here("validate", "a.jsonl", "b.jsonl", "z.jsonl", "--purpose", "fine-tune")
    heads = [line for line in ended.stdout.decode().splitlines() if not line.startswith(" ")]
    assert heads == [
        "error: purpose-mismatch in 1 file, first z.jsonl",
        "error: bad-json on 1 of 4 lines in 1 file, first in a.jsonl:3",
        "warning: role-order on 3 of 5 lines in 2 files, first in a.jsonl:1",
        "warning: last-role on 3 of 5 lines in 2 files, first in a.jsonl:1",
        "warning: duplicate-line on 1 of 4 lines in 1 file, first in a.jsonl:2",
    ]


def test_data_files_are_told_from_manifests(desk: Path) -> None:
    """With --purpose a file of examples is data, and a manifest is still a manifest."""
    assert run_here("validate", "data/a.jsonl", "--purpose", "pre-train").status == 0
    assert run_here("validate", "data/a.jsonl", "data/b.jsonl", "--purpose", "pre-train").status == 0
    ended = run_here("validate", "good.csv", "--purpose", "pre-train")
    assert ended.stderr.startswith("2 files, ")
    ended = run_here("validate", "data/a.jsonl")
    assert ended.status == 10
    assert "--purpose" in ended.stderr


@pytest.mark.parametrize(
    ("name", "content", "says", "command"),
    [
        ("x.jsonl", GOOD % 1, "give its purpose", "validate x.jsonl --purpose fine-tune"),
        ("-it's.jsonl", '{"text": "t"}\n' * 20, "give its purpose", "validate './-it'\"'\"'s.jsonl' --purpose pre-train"),
        ("x.jsonl", '{"text": 1}\n', "(lines with text)", None),
        ("x.pdf", "%PDF-1.7 x", "give its purpose", "validate x.pdf --purpose alignment"),
        ("x.md", "# Tides", "a document or anything else", "validate x.md --purpose alignment"),
        ("x.jsonl", '{"instruction": "i", "output": "o"}\n', "Alpaca", "convert x.jsonl --purpose fine-tune"),
        ("x.jsonl", '{"paht": "a", "purpose": "pre-train"}\n', None, None),
        ("x.csv", "paht,purpose\na,pre-train\n", None, None),
        ("x.json", '[{"path": "a", "purpose": "pre-train"}]', None, None),
        ("x.jsonl", '{"path": "none.jsonl", "purpose": "pre-train"}\n', None, None),
        ("x.jsonl", "not JSON\n", None, None),
    ],
)  # fmt: skip
def test_training_data_without_a_purpose_is_recognised(
    desk: Path, name: str, content: str, says: str | None, command: str | None
) -> None:
    """It is not read as a manifest that is wrong on every line; the command that is named does what is meant."""
    (desk / name).write_text(content)
    ended = run_here("validate", "--", name)
    assert ended.status == 10
    if command is None:
        assert "looks like training data" not in ended.stderr
        assert ended.stdout.startswith(b"error: ")
        return
    assert ended.stdout == b""
    assert f'"{name}" looks like training data, not like a manifest' in ended.stderr
    assert str(says) in ended.stderr
    assert f"  hint: `bulk-upload {command}` " in ended.stderr
    assert run_here(*shlex.split(command)).status == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("data/a.jsonl", "data/b.jsonl"),
        ("data/a.jsonl", "--purpose", "pre-trian"),
        ("none.jsonl",),
        ("good.jsonl", "--schema", "none.toml"),
        ("good.jsonl", "--schema", "good.csv"),
        ("good.jsonl", "--root", "nowhere"),
    ],
)
def test_misuse_ends_with_2(desk: Path, arguments: tuple[str, ...]) -> None:
    """What cannot be meant is said, with a hint."""
    ended = run_here("validate", *arguments)
    assert ended.status == 2
    assert "hint: " in ended.stderr


def test_a_missing_data_file_is_a_finding(desk: Path) -> None:
    """One file that is not there does not keep the others from being looked into."""
    ended = run_here("validate", "data/a.jsonl", "none.jsonl", "--purpose", "pre-train")
    assert ended.status == 10
    assert b'there is no file "none.jsonl"' in ended.stdout
    assert ended.stderr.startswith("1 file, 1 line, ")


def test_a_named_pipe_is_refused_at_once(desk: Path) -> None:
    """As one file or among others, whether anybody writes to it or not: to open it would wait for a writer."""
    os.mkfifo(desk / "pipe")
    for files in (["pipe"], ["data/a.jsonl", "pipe"], ["pipe", "data/a.jsonl"]):
        ended = run_here("validate", *files, "--purpose", "pre-train")
        assert ended.status == 10
        assert b"named pipe" in ended.stdout
        assert b"not-a-file" in ended.stdout


def test_bad_lines_in_a_compressed_file(desk: Path) -> None:
    """They are found where compression is let pass, and cannot be set apart."""
    (desk / "chat.jsonl.gz").write_bytes(gzip.compress((GOOD % 1 + BAD).encode()))
    given = ("validate", "chat.jsonl.gz", "--purpose", "fine-tune", "--quarantine", "q")
    ended = run_here(*given, "--ignore", "compressed")
    assert (ended.status, b"chat.jsonl.gz:2 [$.messages[1].role]" in ended.stdout) == (10, True)
    assert "chat.jsonl.gz: the file is compressed; unpack it first" in ended.stderr
    assert not (desk / "q").exists()
    assert b"compressed in 1 file" in run_here(*given).stdout


def test_a_schema_of_ones_own(desk: Path) -> None:
    """--schema adds purposes and loosens known ones."""
    (desk / "s.toml").write_text(
        '[purposes.labels]\nsuffixes = [".jsonl"]\nfields = { text = "string", label = "string" }\n'
    )
    (desk / "l.jsonl").write_text('{"text": "one", "label": "a"}\n{"text": "two"}\n')
    ended = run_here("validate", "l.jsonl", "--purpose", "labels", "--schema", "s.toml")
    assert ended.status == 10
    assert b'there is no "label"' in ended.stdout


def test_thorough_finds_keys_that_come_twice(desk: Path) -> None:
    """Only where it is asked for."""
    (desk / "d.jsonl").write_text('{"text": "a", "text": "b"}\n')
    assert run_here("validate", "d.jsonl", "--purpose", "pre-train").stdout == b""
    ended = run_here("validate", "d.jsonl", "--purpose", "pre-train", "--thorough")
    assert b"duplicate-key" in ended.stdout
    assert ended.status == 0


def test_quarantine(mixed: Path) -> None:
    """The repaired copy is valid; the original is as it was; what is not lines is named and left alone."""
    folder = mixed.parent
    before = (folder / "data/chat.jsonl").read_bytes()
    ended = run_here("validate", str(mixed), "--quarantine", "q")
    assert "quarantine: data/chat.jsonl: 2 good lines in " in ended.stderr
    assert (folder / "data/chat.jsonl").read_bytes() == before
    assert (folder / "q/data/chat.jsonl").read_text() == GOOD % 1 + GOOD % 2
    assert run_here("validate", "q/data/chat.jsonl", "--purpose", "fine-tune").status == 0
    assert not (folder / "q/data/a.jsonl").exists()
    (folder / "x.jsonl").write_text("a,b\n1,2\n")
    ended = run_here("validate", "x.jsonl", "--purpose", "pre-train", "--quarantine", "q")
    assert "no lines to quarantine" in ended.stderr
    assert run_here("validate", "data/chat.jsonl", "--purpose", "fine-tune", "--quarantine", ".").status == 2


def test_the_command_as_a_process_with_processes_of_its_own(desk: Path) -> None:
    """Larger files are looked into by other processes; they are gone with the command."""
    (desk / "large.jsonl").write_text("".join(GOOD % number for number in range(10_000)) + BAD)
    ended = run_process("validate", "large.jsonl", "data/a.jsonl", "--purpose", "fine-tune", "--jobs", "2")
    assert ended.status == 10
    assert "large.jsonl:10001 [$.messages[1].role]" in ended.stdout.decode()
    assert ended.stderr.startswith("2 files, 10,002 lines, ")


def test_the_page_lists_every_rule_and_every_key() -> None:
    """docs/how-to/validation.md has the rules with severity and meaning as the code has them, and the keys of the JSON lines."""
    page = DOCS.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (\w+) \|", page, re.MULTILINE))
    assert rows == {rule: one.severity.value for rule, one in RULES.items()}
    for rule, one in RULES.items():
        assert f"| `{rule}` | {one.severity.value} | {one.meaning} |" in page
    for key, meaning in JSON_KEYS.items():
        assert f"| `{key}` | {meaning} |" in page


def test_ignored_rules_find_nothing(desk: Path) -> None:
    """Neither in the lines nor in the totals, nor in the sorting of a quarantine."""
    (desk / "chat.jsonl").write_text(GOOD % 1 + BAD + "{]\n")
    ended = run_here(
        "validate", "chat.jsonl", "--purpose", "fine-tune", "--ignore", "wrong-role", "--ignore",
        "blank-line,empty-content", "--quarantine", "mended",
    )  # fmt: skip
    assert ended.status == 10
    assert "wrong-role" not in ended.text
    assert "3 lines, 175 B: 1 error, 0 warnings" in ended.stderr
    assert (desk / "mended/chat.jsonl").read_text() == GOOD % 1 + BAD
