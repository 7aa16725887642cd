from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from bulk_upload.cli.commands.sandbox import DEFAULT_OBJECT_PORT, DEFAULT_PORT, PLAY_KEY, sandbox
from bulk_upload.sandbox import FaultKind, Faults, parse_faults, parse_step
from bulk_upload.sandbox.fault_text import _SETTINGS, PRESETS
from bulk_upload.sandbox.faults import DEFAULT_AMOUNTS
from bulk_upload.sandbox.objects import ObjectFaultKind, ObjectFaults, parse_object_faults, parse_object_step
from bulk_upload.sandbox.objects.fault_text import OBJECT_PRESETS, OBJECT_SETTINGS
from bulk_upload.sandbox.objects.faults import OBJECT_AMOUNTS

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "sandbox.md").read_text()


def table(heading: str) -> list[tuple[str, str]]:
    section = TEXT.partition(f"### {heading}\n")[2].partition("\n#")[0]
    return re.findall(r"^\| `([^`]+)` \| (.+) \|$", section, re.MULTILINE)


def test_every_step_is_documented() -> None:
    """The table of steps has every kind, each example parses, and its last column is what happens."""
    rows = table("Steps")
    assert {parse_step(example).kind for example, _ in rows} == set(FaultKind)
    for example, row in rows:
        assert row.endswith("yes") is parse_step(example).stores, example
    for kind, amount in DEFAULT_AMOUNTS.items():
        (row,) = [row for example, row in rows if example.partition(":")[0] == kind]
        assert f"default {amount:g})" in row


def test_every_setting_and_preset_is_documented() -> None:
    """The tables of settings and presets are complete, and each example parses to something."""
    settings = table("Settings")
    assert [example.partition("=")[0] for example, _ in settings] == list(_SETTINGS)
    assert all(parse_faults(example) != Faults() for example, _ in settings)
    assert [preset for preset, _ in table("Presets")] == list(PRESETS)


def test_every_object_fault_is_documented() -> None:
    """The tables of the object store have every kind, setting and preset, and each example parses."""
    rows = table("Object steps")
    assert {parse_object_step(example).kind for example, _ in rows} == set(ObjectFaultKind)
    for kind, amount in OBJECT_AMOUNTS.items():
        (row,) = [row for example, row in rows if example.partition(":")[0] == kind]
        assert f"default {amount:g})" in row
    settings = table("Object settings")
    assert [example.partition("=")[0] for example, _ in settings] == list(OBJECT_SETTINGS)
    assert all(parse_object_faults(example) != ObjectFaults() for example, _ in settings)
    assert [preset for preset, _ in table("Object presets")] == list(OBJECT_PRESETS)


def test_the_example_mixture_parses() -> None:
    """The long example is a valid text."""
    match = re.search(r'--faults "([^"]+)"', TEXT)
    assert match is not None
    assert parse_faults(match[1]).fault_budget == 2


def test_the_options_are_documented() -> None:
    """The page names every option of the command, its default port and its play key, and no other option."""
    told = set(
        re.findall(
            r"--[a-z-]+", CliRunner().invoke(sandbox, ["--help"], help_option_names=["-h", "--help"]).output
        )
    ) - {"--help"}
    assert set(re.findall(r"`(--[a-z-]+)", TEXT.partition("## Faults")[0])) == told
    assert f"AWS_ENDPOINT=http://127.0.0.1:{DEFAULT_OBJECT_PORT} " in TEXT
    assert f"127.0.0.1:{DEFAULT_PORT} SEEKR_API_KEY={PLAY_KEY}" in TEXT
