"""Which rules apply is one decision: `validate`, `plan` and `run` read the same settings, from wherever they come."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bulk_upload import Job, RuleChoice, Uploader
from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import KEY, run_here

UNANSWERED = (
    '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},'
    ' {"role": "user", "content": "c"}]}\n'
)
"""A warning (last-role) by itself."""
OF_OTHERS = '{"messages": [{"role": "user", "content": "a"}, {"role": "gpt", "content": "b"}]}\n'
"""An error (wrong-role, and no-assistant where that does not apply) by itself."""
MANIFEST = "[jobs.j]\nmanifest = 'm.jsonl'\n"
SETTINGS: dict[str, tuple[Callable[[str, str], str], tuple[str, ...]]] = {
    "the defaults of the file": (lambda key, value: f"[defaults]\n{key} = {value}\n", ()),
    "a job of the file": (lambda key, value: f"{MANIFEST}{key} = {value}\n", ("--job", "j")),
}


@pytest.fixture
def job(desk: Path) -> Path:
    """A manifest of one file."""
    (desk / "m.jsonl").write_text('{"path": "chat.jsonl", "purpose": "fine-tune"}\n')
    return desk


def verdicts(server: str, *options: str) -> tuple[int, int]:
    """Return the exit codes of `validate` and `run` for the manifest."""
    given = () if "--job" in options else ("m.jsonl",)
    run_options = (*given, "--ledger", "l.db", "--send-again", *options)
    validated = run_here("validate", *given, *options)
    done = run_here("run", *run_options, SEEKR_BASE_URL=server)
    return validated.status, done.status


@pytest.mark.parametrize("where", SETTINGS)
@pytest.mark.parametrize("setting", [("strict", "true"), ("error", "'last-role'")])
def test_a_warning_that_counts_counts_everywhere(
    job: Path, server: str, where: str, setting: tuple[str, str]
) -> None:
    """`validate` finds an error, and `run` does not send the file."""
    text_of, options = SETTINGS[where]
    (job / "chat.jsonl").write_text(UNANSWERED)
    assert verdicts(server) == (ExitStatus.DONE, ExitStatus.DONE)
    (job / "bulk-upload.toml").write_text(text_of(*setting))
    (job / "l.db").unlink()
    assert verdicts(server, *options) == (ExitStatus.INVALID_INPUT, ExitStatus.SOME_FAILED)


@pytest.mark.parametrize("where", SETTINGS)
def test_what_a_person_let_pass_passes_everywhere(job: Path, server: str, where: str) -> None:
    """No command refuses the file, in a manifest or in a folder, and the quarantine sets none of its lines apart."""
    text_of, options = SETTINGS[where]
    (job / "chat.jsonl").write_text(OF_OTHERS)
    assert verdicts(server) == (ExitStatus.INVALID_INPUT, ExitStatus.SOME_FAILED)
    (job / "bulk-upload.toml").write_text(text_of("ignore", "['wrong-role', 'no-assistant']"))
    assert verdicts(server, *options) == (ExitStatus.DONE, ExitStatus.DONE)
    plan = run_here("plan", *(options or ("m.jsonl",)), "--ledger", "l.db", SEEKR_BASE_URL=server)
    assert b"invalid" not in plan.stdout
    ended = run_here("validate", *(options or ("m.jsonl",)), "--quarantine", "apart")
    assert (ended.status, (job / "apart").exists()) == (ExitStatus.DONE, False)


def test_a_folder_is_judged_by_the_same_settings(job: Path, fresh_server: str) -> None:
    """`validate FOLDER` and `run FOLDER` alike."""
    folder = job / "chats"
    folder.mkdir()
    (folder / "chat.jsonl").write_text(UNANSWERED)
    (job / "bulk-upload.toml").write_text("[defaults]\nstrict = true\n")
    options = ("chats", "--purpose", "fine-tune")
    assert run_here("validate", *options).status == ExitStatus.INVALID_INPUT
    run = run_here("run", *options, "--yes", SEEKR_BASE_URL=fresh_server)
    assert run.status == ExitStatus.SOME_FAILED
    (job / "bulk-upload.toml").write_text("[defaults]\nstrict = true\nignore = 'last-role'\n")
    assert run_here("validate", *options).status == ExitStatus.DONE
    assert run_here("run", *options, "--yes", SEEKR_BASE_URL=fresh_server).status == ExitStatus.DONE


def test_variables_and_options_take_precedence(job: Path) -> None:
    """As of every other setting: the variable overrides the file, the option the variable."""
    (job / "chat.jsonl").write_text(UNANSWERED)
    (job / "bulk-upload.toml").write_text("[defaults]\nstrict = true\n")
    ignored = {"BULK_UPLOAD_IGNORE": "last-role"}
    assert run_here("validate", "m.jsonl", "--config", "none").status == ExitStatus.DONE
    assert run_here("validate", "m.jsonl").status == ExitStatus.INVALID_INPUT
    assert run_here("validate", "m.jsonl", **ignored).status == ExitStatus.DONE
    assert run_here("validate", "m.jsonl", "--ignore", "crlf", **ignored).status == ExitStatus.INVALID_INPUT
    shown = map(json.loads, run_here("config", "show", "--json", "validate").stdout.splitlines())
    sources = {one["name"]: one["source"] for one in shown}
    assert sources["strict"] == "bulk-upload.toml, line 2"
    assert "api-key" not in sources


async def test_the_library_has_the_same_choice(job: Path, server: str) -> None:
    """By keyword: what is ignored is sent, what is raised is not."""
    (job / "chat.jsonl").write_text(OF_OTHERS)
    task = Job(manifest="m.jsonl", ledger="library.db")
    passed = RuleChoice(ignored=frozenset({"wrong-role", "no-assistant"}))
    run = await Uploader(base_url=server, api_key=KEY, rules=passed).run(task)
    assert run.status == ExitStatus.DONE
