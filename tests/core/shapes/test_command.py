"""The command in a remedy is one that a shell runs on the very file, whatever that is called."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from bulk_upload.core.shapes.command import DROP, ConvertCommand

NAMES = [
    "plain.jsonl", "a b.jsonl", "it's.jsonl", 'say "x".jsonl', "-x.jsonl", "--purpose=y.jsonl", "$HOME `id` $(id).jsonl", "a;b&c|d>e.jsonl",
    "new\nline.jsonl", "tab\tcr\r.jsonl", "back\\slash\\n.jsonl", "b\\'s\n.jsonl", "caf\udce9 a.jsonl", "\u202eevil.jsonl", "\x1b[31m.jsonl",
    "漢字 é.jsonl", "~root.jsonl", "#x.jsonl", "!x.jsonl", "*.jsonl", "{a,b}.jsonl", "\udcff0.jsonl",
]  # fmt: skip
SHELLS = [one for one in ("bash", "zsh") if shutil.which(one)]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_reads_what_was_meant(shell: str) -> None:
    """Every word is the file's own, byte for byte, and nothing else is run."""
    lines = [ConvertCommand(file=name, purpose="a b").line((DROP, "messages[].x")) for name in NAMES]
    script = "\n".join(f"printf '%s\\0' {line}" for line in lines)
    done = subprocess.run([shell], input=os.fsencode(script), capture_output=True, timeout=60, check=True)
    words = done.stdout.split(b"\0")[:-1]
    for index, name in enumerate(NAMES):
        file = f"./{name}" if name.startswith("-") else name
        expected = ["bulk-upload", "convert", file, "--purpose", "a b", DROP, "messages[].x"]
        assert words[index * 7 : index * 7 + 7] == list(map(os.fsencode, expected))


def test_a_command_is_harmless_to_look_at() -> None:
    """Nothing in it controls a terminal: what is printed is what can be typed."""
    assert all(ConvertCommand(file=name).line().isprintable() for name in NAMES)


def test_standard_input_needs_a_place_to_write() -> None:
    """Its dash is no option."""
    command = ConvertCommand(file="-", purpose="fine-tune", output="converted.jsonl")
    assert command.line() == "bulk-upload convert - --purpose fine-tune --output converted.jsonl"
