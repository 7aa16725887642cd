"""The built-in profiles are data: what is printed of one can be taken as one's own, unchanged."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import asdict

from bulk_upload.cli.commands.run import run
from bulk_upload.cli.config.reading import configuration_for
from bulk_upload.cli.options.sections import ServerCommand
from bulk_upload.core.api.profile import BUILT_IN_NAMES, FLOW
from bulk_upload.core.report.proof import Evidence
from bulk_upload.core.vendor_purposes import purposes_of
from bulk_upload.edge.profiles import BUILT_IN, preset
from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import run_here

ROOT = Path(__file__).parents[3]
VARIABLES = ("key_variable", "base_url_variable", "team_variable")


@pytest.mark.parametrize("name", BUILT_IN_NAMES)
def test_what_is_shown_is_a_profile_of_ones_own(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Printed, and read back from the file, it is the same but for its name, and for the variables of Flow."""
    monkeypatch.chdir(tmp_path)
    shown = run_here("profiles", "show", name)
    assert (shown.status, shown.stderr) == (0, "")
    (tmp_path / "bulk-upload.toml").write_bytes(shown.stdout)
    assert isinstance(run, ServerCommand)
    mine = configuration_for(None, run.settings).profiles[f"my-{name}"]
    own = set(VARIABLES) if name == "flow" else set()
    for field, value in asdict(BUILT_IN[name]).items():
        assert field in {"name", *own} or getattr(mine, field) == value, field
    assert not any(str(getattr(mine, one)).startswith("SEEKR") for one in VARIABLES)


def test_flow_is_in_its_file_as_in_the_code() -> None:
    """The one profile that is needed before any file is read."""
    assert preset("flow").profile == FLOW


@pytest.mark.parametrize("name", BUILT_IN_NAMES)
def test_no_built_in_profile_claims_more_than_it_does(name: str) -> None:
    """What is said to work is what the profile can do."""
    profile, proof = preset(name).profile, preset(name).proof
    assert (proof.list is Evidence.NO) is not profile.can_list
    assert (proof.settle is Evidence.NO) is not profile.list_decides
    assert proof.content is Evidence.NO or profile.can_read_back
    assert profile.key_variable is not None
    weak = {Evidence.UNPROVEN, Evidence.NO}
    assert proof.settle in weak or not weak & {proof.upload, proof.list}


def test_no_two_profiles_share_a_variable() -> None:
    """A key goes to the vendor that it is for."""
    named = [getattr(BUILT_IN[name], one) for name in BUILT_IN_NAMES for one in VARIABLES]
    used = [one for one in named if one is not None]
    assert len(used) == len(set(used))


def test_the_list_names_what_is_proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each profile with its evidence; one's own without any."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bulk-upload.toml").write_bytes(run_here("profiles", "show", "groq").stdout)
    text = run_here("profiles").stdout.decode()
    assert all(re.search(rf"^{name} ", text, re.MULTILINE) for name in BUILT_IN_NAMES)
    assert re.search(r"^my-groq +your own, from bulk-upload.toml", text, re.MULTILINE)
    rows = [json.loads(line) for line in run_here("profiles", "--json").stdout.splitlines()]
    assert [one["name"] for one in rows] == [*BUILT_IN_NAMES, "my-groq"]
    assert rows[0]["proof"]["upload"] == "vendor's SDK"
    assert rows[-1]["proof"] is None


def test_ones_own_profile_is_taken_before_a_built_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file from before there was a built-in one of that name means what it meant; `flow` alone cannot be changed."""
    monkeypatch.chdir(tmp_path)
    shown = run_here("profiles", "show", "groq").stdout.decode()
    (tmp_path / "bulk-upload.toml").write_text(shown.replace("my-groq", "openai"))
    rows = {one["name"]: one for one in map(json.loads, run_here("profiles", "--json").stdout.splitlines())}
    assert (rows["openai"]["base_url"], rows["openai"]["proof"]) == ("https://api.groq.com", None)
    (tmp_path / "bulk-upload.toml").write_text(shown.replace("my-groq", "flow"))
    ended = run_here("profiles")
    assert (ended.status, "is built in" in ended.stderr) == (ExitStatus.USAGE, True)


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    """Wherever a profile is named."""
    for words in (("profiles", "show", "opnai"), ("plan", "x", "--profile", "opnai", "--ledger", "y")):
        ended = run_here(*words)
        assert ended.status == ExitStatus.USAGE
        assert 'Did you mean "openai"?' in ended.stderr


def test_the_table_of_the_docs_is_that_of_the_profiles() -> None:
    """docs/how-to/vendors.md has a row for each, with the evidence of each thing."""
    page = (ROOT / "docs" / "how-to" / "vendors.md").read_text("utf-8")
    for name in BUILT_IN_NAMES:
        evidence = msgspec.to_builtins(preset(name).proof).values()
        validated = [one.name for one in purposes_of(name).values() if one.schema.is_known]
        row = f"| `{name}` | {' | '.join(evidence)} | {', '.join(validated) or 'none'} | no |"
        assert row in page
