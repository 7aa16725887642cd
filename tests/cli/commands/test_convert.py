"""`bulk-upload convert`: files, streams, summary, exit codes; and every remedy that names it works as printed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.stage import run_here, run_shell

ALPACA = '{"instruction": "i", "output": "o"}\n'
CHAT = '{"messages":[{"role":"user","content":"i"},{"role":"assistant","content":"o"}]}\n'
OWN = '[purposes.labels]\nsuffixes = [".jsonl"]\nfields = { text = "string", label = "string" }\n'
GOOD = '{"messages": [{"role": "user", "content": "q%d"}, {"role": "assistant", "content": "a"}]}'


def test_a_file_is_converted_beside_the_original(desk: Path) -> None:
    """The summary goes to standard error, the exit code is 0, and the result is valid."""
    (desk / "x.json").write_text(ALPACA)
    ended = run_here("convert", "x.json", "--purpose", "fine-tune")
    assert (ended.status, ended.stdout) == (0, b"")
    assert ended.stderr == (
        "x.json: 1 record -> x.converted.jsonl (1 line)\n"
        "  converted from: Alpaca (`instruction`, `input`, `output`) (1)\n"
        "Next: bulk-upload validate ./x.converted.jsonl --purpose fine-tune\n"
        "Then: bulk-upload ./x.converted.jsonl --purpose fine-tune\n"
    )
    assert (desk / "x.converted.jsonl").read_text() == CHAT
    assert run_here("validate", "x.converted.jsonl", "--purpose", "fine-tune").status == 0


def test_records_that_are_left_end_with_10(desk: Path) -> None:
    """Even when nothing else is to be printed, they are named."""
    (desk / "x.jsonl").write_text(ALPACA + '{"a": 1}\n')
    ended = run_here("convert", "x.jsonl", "--purpose", "fine-tune", "--quiet", "--format", "json")
    assert ended.status == 10
    assert "not converted: 1 record: x.converted.jsonl.left" in ended.stderr
    said = json.loads(ended.stdout)
    assert (said["output"], said["tally"]["left"]) == ("x.converted.jsonl", 1)


@pytest.mark.parametrize(
    ("files", "arguments"),
    [
        ({"x.jsonl": ALPACA}, ("x.jsonl", "--purpose", "fine-tune")),
        ({"it's.jsonl": ALPACA, "sub/-y.jsonl": ALPACA}, ("it's.jsonl", "sub/-y.jsonl", "--purpose", "fine-tune")),
        ({"x.jsonl": ALPACA}, ("x.jsonl", "--purpose", "fine-tune", "-o", "run")),
        ({"x.jsonl": CHAT.replace("\n", "\r\n")}, ("x.jsonl", "--fix")),
        ({"m.json": '[{"path": "data/a.jsonl", "purpose": "pre-train"}]'}, ("m.json", "--fix")),
        ({"own.toml": OWN, "x.jsonl": '"a text"\n'}, ("x.jsonl", "--purpose", "pre-train", "--schema", "own.toml")),
    ],
)  # fmt: skip
def test_the_next_commands_work_as_printed(
    desk: Path, server: str, files: dict[str, str], arguments: tuple[str, ...]
) -> None:
    """They validate and upload what was written, under whatever name."""
    for name, content in files.items():
        (desk / name).parent.mkdir(exist_ok=True)
        (desk / name).write_bytes(content.encode())
    ended = run_here("convert", *arguments)
    assert ended.status == 0
    lines = [line.split(": bulk-upload ", 1) for line in ended.stderr.splitlines()]
    commands = [one for one in lines if one[0] in ("Next", "Then")]
    assert [one[0] for one in commands] == ["Next", "Then"]
    for _, command in commands:
        assert run_here(*shlex.split(command), SEEKR_BASE_URL=server).status == 0


def test_what_cannot_be_told_is_left_to_the_reader(desk: Path) -> None:
    """Of lines that no purpose takes, or of many files, the commands have a word in place of what is to be named."""
    for number in range(6):
        (desk / f"{number}.jsonl").write_bytes(b'{"odd": 1}\r\n')
    ended = run_here("convert", *(f"{number}.jsonl" for number in range(6)), "--fix")
    assert "Next: bulk-upload validate FILE... --purpose PURPOSE\n" in ended.stderr
    assert run_here("convert", "0.jsonl", "--fix", "-o", "x", "--quiet").stderr == ""


def test_streams(desk: Path) -> None:
    """Standard input and output take the place of files; nothing is written beside them."""
    before = sorted(desk.iterdir())
    ended = run_shell(f"printf '%s' '{ALPACA}' | bulk-upload convert - --purpose fine-tune -o -")
    assert (ended.status, ended.stdout.decode()) == (0, CHAT)
    assert sorted(desk.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("good.jsonl",),
        ("good.jsonl", "--purpose", "fine-toon"),
        ("good.jsonl", "good.csv", "--fix", "-o", "x"),
        ("-", "--fix"),
        ("none.jsonl", "--fix"),
        ("good.jsonl", "--fix", "-o", "good.jsonl"),
        ("good.jsonl", "--fix", "-o", "nowhere/x.jsonl"),
        (".", "--fix"),
    ],
)
def test_misuse_ends_with_2(desk: Path, arguments: tuple[str, ...]) -> None:
    """What cannot be meant is said, with a hint."""
    ended = run_here("convert", *arguments)
    assert ended.status == 2
    assert "hint: " in ended.stderr


def turns(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": said} for role, said in pairs]


ROUND = [
    ("a b.jsonl", "fine-tune", json.dumps([{"id": 9007199254740993, "messages": turns(("user", "q"), ("assistant", "a"))}])),
    ("-x.jsonl", "fine-tune", "\n".join(GOOD % number + "," for number in range(3))),
    ("it's.jsonl", "fine-tune", json.dumps(GOOD % 1) + "\n" + json.dumps(GOOD % 2)),
    ("q.jsonl", "fine-tune", "\n".join('"' + (GOOD % number).replace('"', '""') + '"' for number in range(3))),
    ("arrays.jsonl", "fine-tune", "\n".join(json.dumps(turns(("user", f"q{n}"), ("assistant", "a"))) for n in range(3))),
    ("pretty.jsonl", "fine-tune", "\n".join(json.dumps(json.loads(GOOD % n), indent=2) for n in range(3))),
    ("several.jsonl", "fine-tune", "".join(GOOD % number for number in range(3))),
    ("cr.jsonl", "fine-tune", "\r".join(GOOD % number for number in range(3))),
    ("crlf.jsonl", "fine-tune", "\r\n".join(GOOD % number for number in range(3))),
    ("mark.jsonl", "fine-tune", "\ufeff" + GOOD % 1),
    ("marks.jsonl", "fine-tune", GOOD % 1 + "\n\ufeff" + GOOD % 2),
    ("u2028.jsonl", "fine-tune", GOOD.replace("q%d", "a\u2028b")),
    ("cohere.jsonl", "fine-tune", json.dumps({"messages": turns(("System", "s"), ("User", "u"), ("Chatbot", "c"))})),
    ("table.csv", "fine-tune", "prompt,completion\na text,its end\nanother,its end\n"),
    ("alpaca.jsonl", "fine-tune", json.dumps({"instruction": "i", "input": "x", "output": "o", "system": "s", "history": [["a", "b"]]})),
    ("parts.jsonl", "fine-tune", json.dumps({"messages": [{"role": "user", "content": [{"type": "text", "text": "t"}]}, *turns(("assistant", "a"))]})),
    ("picture.jsonl", "fine-tune", json.dumps({"messages": [{"role": "user", "content": [{"type": "text", "text": "t"}, {"type": "image_url", "fileData": {"url": "x"}}]}, *turns(("assistant", "a"))]})),
    ("image.jsonl", "fine-tune", json.dumps({"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": "gs://x"}}, {"text": "h"}]}, {"role": "model", "parts": [{"text": "g"}]}]})),
    ("dpo.jsonl", "preference-fine-tune", json.dumps({"system": "s", "prompt": "p", "chosen": "g", "rejected": "b"})),
    ("hh.jsonl", "preference-fine-tune", json.dumps({name: f"\n\nHuman: p\n\nAssistant: {name}" for name in ("chosen", "rejected")})),
    ("gt.jsonl", "reinforcement-fine-tune", json.dumps({"messages": turns(("user", "q")), "ground_truth": "4"})),
    ("content.jsonl", "pre-train", json.dumps({"content": "c", "path": "p"})),
    ("string.jsonl", "pre-train", '"a text"'),
]  # fmt: skip


def leaves(value: Any) -> Iterator[str]:
    """Yield every text and number of a value."""
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from leaves(one)
    else:
        yield str(value)


@pytest.mark.parametrize(("name", "purpose", "text"), ROUND, ids=[one[0] for one in ROUND])
def test_a_remedy_works_as_printed(desk: Path, name: str, purpose: str, text: str) -> None:
    """Run by a shell's rules, with the name of the file at hand, it leaves nothing to complain about."""
    (desk / name).write_bytes(text.encode())
    argument = f"./{name}"
    ended = run_here("validate", argument, "--purpose", purpose, "--format", "json")
    said = [json.loads(line) for line in ended.stdout.splitlines()]
    commands = {
        found[1] for one in said if (found := re.search(r": (bulk-upload convert .*)$", one["remedy"]))
    }
    (command,) = commands
    words = shlex.split(command)
    assert words[:3] == ["bulk-upload", "convert", argument]
    assert run_here(*words[1:]).status == 0
    made = f"./{Path(name).stem}.converted.jsonl"
    again = run_here("validate", made, "--purpose", purpose)
    assert (again.status, again.stdout) == (0, b"")
    if "--drop" in words:
        assert "fileData" in next(one["remedy"] for one in said).partition(": bulk-upload")[0]


def test_a_remedy_names_a_file_of_a_manifest_from_where_one_is(desk: Path) -> None:
    """The manifest's folder is not the current one."""
    (desk / "sub").mkdir()
    (desk / "sub" / "x.jsonl").write_text(ALPACA)
    (desk / "sub" / "m.jsonl").write_text('{"path": "x.jsonl", "purpose": "fine-tune"}\n')
    ended = run_here("validate", "sub/m.jsonl")
    assert b": bulk-upload convert sub/x.jsonl --purpose fine-tune\n" in ended.stdout


def test_no_remedy_makes_another_purposes_lines(desk: Path) -> None:
    """KTO has no pairs; that is said, and no command is offered."""
    (desk / "kto.jsonl").write_text('{"prompt": "p", "completion": "c", "label": true}\n')
    for purpose in ("preference-fine-tune", "fine-tune", "pre-train"):
        ended = run_here("validate", "kto.jsonl", "--purpose", purpose)
        assert b"They cannot be converted" in ended.stdout
        assert b"bulk-upload convert" not in ended.stdout


def test_a_manifest_that_is_one_array(desk: Path) -> None:
    """Its remedy works as printed too."""
    (desk / "m.json").write_text('[{"path": "data/a.jsonl", "purpose": "pre-train"}]')
    ended = run_here("plan", "m.json")
    command = re.search(r"bulk-upload (convert m.json --fix)", ended.stderr)
    assert command is not None
    assert run_here(*command[1].split()).status == 0
    assert run_here("plan", "m.converted.jsonl").status == 0
