"""The live page: it may do what it needs and nothing else."""

from __future__ import annotations

import re

from bulk_upload.report.page.live_page import live_page


def test_the_page_may_load_nothing_and_runs_its_own_script_alone() -> None:
    """No address of another server is in it, and its policy names the hashes of its style and script."""
    page, policy = live_page()
    text = page.decode()
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert "innerHTML" not in text
    assert "'unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    assert "connect-src 'self'" in policy
    assert policy.count("'sha256-") == 2
