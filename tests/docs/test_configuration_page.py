"""docs/reference/configuration.md and profiles.md: their examples are read as they stand, their tables have every key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bulk_upload.cli.commands.run import run
from bulk_upload.cli.config.reading import configuration_for
from bulk_upload.cli.options.sections import ServerCommand
from bulk_upload.core.api.profile_table import PROFILE_KEYS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PROFILES_PAGE = (REFERENCE / "profiles.md").read_text("utf-8")
PAGES = (REFERENCE / "configuration.md").read_text("utf-8") + PROFILES_PAGE
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGES, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_read(example: str, tmp_path: Path) -> None:
    """Each example is a whole file that is taken without complaint."""
    path = tmp_path / "bulk-upload.toml"
    path.write_text(example)
    assert isinstance(run, ServerCommand)
    configuration = configuration_for(str(path), run.settings)
    assert configuration.jobs
    assert {job.get("profile", "flow") for job in configuration.jobs.values()} <= set(configuration.profiles)


def test_every_key_of_a_profile_is_explained() -> None:
    """The tables have every key once, and say of each whether it is needed."""
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (yes|no) \|", PROFILES_PAGE, re.MULTILINE)
    assert {name for name, _ in rows} == set(PROFILE_KEYS)
    assert len(rows) == len(PROFILE_KEYS)
    assert [name for name, needed in rows if needed == "yes"] == [
        "base-url", "method", "files-path", "file-field", "purposes",
    ]  # fmt: skip
