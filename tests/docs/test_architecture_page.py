"""The page about the architecture names modules that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "architecture.md"


def test_every_module_that_the_page_names_exists() -> None:
    """A module that moves takes its mention along."""
    named = set(re.findall(r"`(?:bulk_upload/)?([a-z_]+(?:/[a-z_]+)*(?:\.py|/))`", PAGE.read_text("utf-8")))
    assert len(named) > 10
    assert [
        one for one in sorted(named) if not ((ROOT / one).exists() or (ROOT / "bulk_upload" / one).exists())
    ] == []
