"""The purposes of the chosen profile apply wherever data is looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bulk_upload.core.api.profile import BUILT_IN_NAMES
from bulk_upload.core.vendor_purposes import VENDOR_PURPOSES, purposes_of
from bulk_upload.edge.profiles import BUILT_IN
from tests.cli.stage import run_here

REQUEST = '{"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": {"model": "m"}}\n'


def test_each_described_purpose_belongs_to_its_profile() -> None:
    """No rules for a purpose that the vendor's server refuses."""
    for name, purposes in VENDOR_PURPOSES.items():
        assert {one.name for one in purposes} <= set(BUILT_IN[name].purposes), name
    assert set(VENDOR_PURPOSES) == set(BUILT_IN_NAMES) - {"flow"}
    assert "fine-tune" in purposes_of("one-of-my-own")


def test_scan_knows_the_purposes_of_a_profile(tmp_path: Path) -> None:
    """A file of requests is recognised; the command to go on with has the profile."""
    (tmp_path / "a.jsonl").write_text(REQUEST)
    result = run_here("scan", str(tmp_path), "--profile", "openai", "-o", str(tmp_path / "m.jsonl"))
    assert result.status == 0, result.stderr
    assert json.loads((tmp_path / "m.jsonl").read_text())["purpose"] == "batch"
    assert "--profile openai" in result.stderr
    refused = run_here("scan", str(tmp_path), "--profile", "openai", "--purpose", "pre-train")
    assert refused.status == 2
    assert "Known purposes: assistants, batch" in refused.stderr


@pytest.mark.parametrize("profile", ["openai", "groq", "mistral"])
def test_validate_has_the_rules_of_a_profile(profile: str, tmp_path: Path) -> None:
    """The same id twice is an error for those who take batches."""
    request = json.loads(REQUEST)
    request["url"] = "/v1/chat/completions"
    lines = [json.dumps(request | {"body": {"model": "m", "n": number}}) for number in range(2)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    result = run_here("validate", str(tmp_path / "a.jsonl"), "--purpose", "batch", "--profile", profile)
    assert result.status == 10
    assert "repeated-value" in result.text
