"""`doctor --probe`: one upload, look-up, list, read-back and delete with the user's own key, after a question."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from bulk_upload.core.api.profile import BUILT_IN_NAMES
from bulk_upload.edge.profiles import BUILT_IN
from bulk_upload.exit_status import ExitStatus
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.cli.stage import KEY, run_here
from tests.fakes.vendor import Dialect, vendor

STEPS = {"probe upload", "probe look-up", "probe list", "probe content", "probe delete"}


def probed(*words: str, **env: str | None) -> tuple[int, dict[str, Mapping[str, str]]]:
    """Return the exit code, and the checks of the probe by name."""
    ended = run_here("doctor", "--probe", "--yes", "--json", *words, **env)
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert KEY not in ended.text
    return ended.status, {one["name"]: one for one in rows if one["name"].startswith("probe")}


@pytest.mark.parametrize("name", BUILT_IN_NAMES)
def test_each_profile_can_be_probed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the profile claims is found, and nothing is left."""
    monkeypatch.chdir(tmp_path)
    profile = BUILT_IN[name]
    config = SandboxConfig(profile=name, directory=str(tmp_path / "server"), keys=(KEY,))
    with sandbox_in_thread(config) as sandbox:
        env = {str(profile.key_variable): KEY}
        status, checks = probed("--profile", name, "--base-url", sandbox.url, **env)
        works = name != "litellm"
        expected = STEPS - ({"probe list"} if not profile.can_list else set())
        assert set(checks) == expected - (set() if profile.can_read_back else {"probe content"})
        verdicts = {one: found["verdict"] for one, found in checks.items()}
        assert verdicts["probe upload"] == "ok"
        if works:
            assert (status, set(verdicts.values())) == (0, {"ok"}), checks
            assert not sandbox.files
        else:
            # It can only upload: the file that is left is named.
            assert (status, verdicts["probe delete"]) == (ExitStatus.UNFINISHED, "problem")


def own(folder: Path, url: str, more: str = "") -> None:
    """Write a profile of one's own."""
    (folder / "bulk-upload.toml").write_text(
        f"""[profiles.mine]
base-url = "{url}"
method = "POST"
files-path = "/v1/files"
file-field = "file"
purpose-field = "purpose"
purposes = ["batch", "assistants"]
can-list = true
paging = "after"
keeps-names = true
key-variable = "MINE_API_KEY"
{more}
"""
    )


def test_what_a_profile_claims_wrongly_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that are changed, and contents that are refused, are warnings that name the key to change."""
    monkeypatch.chdir(tmp_path)
    with vendor(Dialect(sanitises=True, contents=False)) as server:
        own(tmp_path, server.url)
        status, checks = probed("--profile", "mine", MINE_API_KEY=KEY)
        assert status == 0
        assert checks["probe upload"]["verdict"] == "warning"
        assert "name-alphabet" in checks["probe look-up"]["remedy"]
        assert "can-read-back" in checks["probe content"]["remedy"]
        assert server.files == []
        own(tmp_path, server.url, 'name-alphabet = "portable"\ncan-read-back = false')
        status, checks = probed("--profile", "mine", MINE_API_KEY=KEY)
        assert {one["verdict"] for one in checks.values()} == {"ok"}


def test_nothing_is_sent_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal it needs --yes; the question says what it costs."""
    monkeypatch.chdir(tmp_path)
    with sandbox_in_thread(SandboxConfig(keys=(KEY,))) as sandbox:
        ended = run_here("doctor", "--probe", SEEKR_BASE_URL=sandbox.url)
        assert ended.status == ExitStatus.USAGE
        assert "requests, which count against the limits of your account" in ended.stderr
        ended = run_here("doctor", "--probe", "--yes", "--purpose", "fine-tun", SEEKR_BASE_URL=sandbox.url)
        assert (ended.status, 'Did you mean "fine-tune"?' in ended.stderr) == (ExitStatus.USAGE, True)
        assert [one for one in sandbox.journal if one.method == "PUT"] == []


@pytest.mark.parametrize(
    ("faults", "words"),
    [("drop-stored", "the server may have"), ("400", "HTTP 400"), ("html", "not a JSON object")],
)
def test_an_upload_without_a_credible_answer(
    faults: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told once, with what may be left at the server."""
    monkeypatch.chdir(tmp_path)
    with sandbox_in_thread(SandboxConfig(keys=(KEY,), faults=parse_faults(faults))) as sandbox:
        status, checks = probed(SEEKR_BASE_URL=sandbox.url)
        assert (status, set(checks)) == (ExitStatus.UNFINISHED, {"probe upload"})
        assert words in checks["probe upload"]["words"]
