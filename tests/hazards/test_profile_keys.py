"""Each profile's key, address and team are for it alone: nothing that anybody sees has another's."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import Ended, lay_out, run_here

PROFILES = ("flow", "alpha", "beta")
KEYS = {name: f"sk-canary-of-{name}-5b1d9e27" for name in PROFILES}
TEAMS = {name: f"team-canary-of-{name}" for name in PROFILES}
PREFIXES = {"flow": "SEEKR", "alpha": "ALPHA", "beta": "BETA"}

_SHAPE = """
method = "POST"
files-path = "/api/documents"
file-field = "document"
purpose-field = "kind"
purposes = ["pre-train"]
team-header = "X-Team"
base-url = "http://127.0.0.1:9"
"""
SETTINGS = f"""
[profiles.alpha]
{_SHAPE}
key-variable = "ALPHA_API_KEY"
base-url-variable = "ALPHA_BASE_URL"
team-variable = "ALPHA_TEAM_ID"
[profiles.beta]
{_SHAPE}
auth-header = "X-Beta-Key"
auth-prefix = ""
key-variable = "BETA_API_KEY"
base-url-variable = "BETA_BASE_URL"
team-variable = "BETA_TEAM_ID"
[profiles.bare]
{_SHAPE}
"""


class Recorder:
    """A server that keeps every byte of every request, and answers as any Files API does."""

    def __init__(self) -> None:
        self.url = ""
        self.heads: list[str] = []
        self.bodies: list[bytes] = []

    def answer(self, method: str, target: str, head: str, body: bytes) -> dict[str, object]:
        """Keep a request; return what is said to it."""
        self.heads.append(f"{method} {target}\n{head}")
        self.bodies.append(body)
        if method in ("PUT", "POST"):
            return {"id": f"doc-{len(self.bodies)}"}
        return {"data": []} if "?" in target else {"id": target.rpartition("/")[2], "deleted": True}

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join([*self.heads, *(body.decode("latin-1") for body in self.bodies)])


@contextmanager
def recording() -> Iterator[Recorder]:
    """Serve a recorder on a thread."""
    here = Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = json.dumps(here.answer(self.command, self.path, str(self.headers), body)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PUT = do_POST = do_DELETE = handle_one  # noqa: N815 - the names that the base class looks for

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        here.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield here
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with two files, manifests of them and three profiles."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    (tmp_path / "bulk-upload.toml").write_text(SETTINGS)
    return tmp_path


def variables(urls: dict[str, str]) -> dict[str, str]:
    """Return every variable of every profile, set at once."""
    return {
        f"{PREFIXES[name]}_{what}": values[name]
        for name in PROFILES
        for what, values in (("API_KEY", KEYS), ("TEAM_ID", TEAMS), ("BASE_URL", urls))
    }


def every_command(profile: str, env: dict[str, str]) -> list[Ended]:
    """Run whatever reads a key, an address or a team, for one profile."""
    ledger = "l.ledger.db"
    job = ("good.jsonl", "--profile", profile, "--ledger", ledger)
    files = (
        "--log-file",
        "run.log",
        "--log-format",
        "json",
        "--metrics-file",
        "m.prom",
        "--results",
        "r.jsonl",
    )
    ended = [
        run_here(*words, **env)
        for words in (
            ("config", "show", "--all", "run", "--profile", profile),
            ("doctor", *job),
            ("plan", *job),
            ("run", *job, "-vv", *files),
            ("config", "show", "--all", "verify", ledger),
            ("status", ledger),
            ("ledger", "export", ledger, "--format", "jsonl"),
            ("verify", ledger),
            ("resolve", ledger, "reconcile", "--yes"),
            ("undo", ledger, "--yes"),
            ("report", ledger, "-o", "page.html"),
        )
    ]
    assert ended[3].status == 0, ended[3].text
    assert ended[7].status in (ExitStatus.DONE, ExitStatus.DIFFERENCES), ended[7].text
    assert ended[9].status == 0, ended[9].text
    return ended


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_sends_its_own_key_and_no_other(desk: Path, profile: str) -> None:
    """With every variable of every profile set, each server and each output has one profile's alone."""
    with recording() as alpha, recording() as beta, recording() as flow:
        servers = {"flow": flow, "alpha": alpha, "beta": beta}
        urls = {name: one.url for name, one in servers.items()}
        ended = every_command(profile, variables(urls))
        own = servers.pop(profile)
    methods = {head.partition(" ")[0] for head in own.heads}
    assert {"GET", "DELETE"} < methods
    assert {head.count(KEYS[profile]) for head in own.heads} == {1}
    assert not any(KEYS[profile] in head.splitlines()[0] for head in own.heads)
    assert all(TEAMS[profile] in head for head in own.heads)
    assert not any(KEYS[profile].encode() in body for body in own.bodies)
    assert not any(one.heads for one in servers.values())
    shown = "\n".join(one.text for one in ended)
    for what in ("API_KEY", "BASE_URL", "TEAM_ID"):
        assert f"environment {PREFIXES[profile]}_{what}" in ended[0].text
    assert f"environment {PREFIXES[profile]}_API_KEY" in ended[4].text
    written = {str(path): path.read_bytes().decode("latin-1") for path in desk.rglob("*") if path.is_file()}
    for name in PROFILES:
        everywhere = {"output": shown} | written
        if name != profile:
            everywhere["server"] = own.text
            strange = [KEYS[name], TEAMS[name], urls[name]]
        else:
            strange = [KEYS[name]]
        found = [(place, one) for place, text in everywhere.items() for one in strange if one in text]
        assert not found


def test_a_profile_without_a_variable_has_no_key(desk: Path) -> None:
    """No variable is tried for it: the line to add is told, and a file or a command serves as well."""
    (desk / "k").write_text("sk-of-the-bare-one")
    (desk / "k").chmod(0o600)
    with recording() as server, recording() as other:
        env = variables(dict.fromkeys(PROFILES, other.url))
        job = ("run", "good.jsonl", "--profile", "bare", "--base-url", server.url, "--ledger", "l.ledger.db")
        ended = run_here(*job, **env)
        assert ended.status == ExitStatus.USAGE
        assert 'key-variable = "BARE_API_KEY"' in ended.stderr
        assert "[profiles.bare] in bulk-upload.toml" in ended.stderr
        assert "--api-key-file" in ended.stderr
        assert not server.heads
        checked = run_here("doctor", "--profile", "bare", "--base-url", server.url, **env)
        assert 'key-variable = "BARE_API_KEY"' in checked.stdout.decode()
        assert run_here(*job, "--api-key-file", "k", **env).status == 0
        assert run_here("verify", "l.ledger.db", **env).status == ExitStatus.USAGE
        asked = run_here("verify", "l.ledger.db", "--api-key-command", "cat k", **env)
        assert asked.status in (ExitStatus.DONE, ExitStatus.DIFFERENCES)
        assert "canary" not in server.text
        assert not other.heads
        said = desk / "bulk-upload.toml"
        said.write_text(SETTINGS + 'key-variable = "BARE_API_KEY"\n')
        assert run_here(*job, BARE_API_KEY="sk-bare-4711", **env).status == 0


def test_a_key_of_the_defaults_goes_to_their_profile_alone(desk: Path) -> None:
    """`api-key-command` in `[defaults]` is flow's; a job's is for the job's profile; the command line always counts."""
    tables = (
        "[defaults]\napi-key-command = 'echo sk-of-the-defaults'\n"
        "[jobs.a]\nmanifest = 'good.jsonl'\nprofile = 'alpha'\n"
        "[jobs.b]\nmanifest = 'good.csv'\nprofile = 'beta'\napi-key-command = 'echo sk-of-job-b'\n"
    )
    (desk / "bulk-upload.toml").write_text(tables + SETTINGS)
    with recording() as server:
        env = {f"{PREFIXES[name]}_BASE_URL": server.url for name in PROFILES}

        def sent_with(*words: str, **more: str) -> set[str]:
            server.heads.clear()
            run_here(*words, **env, **more)
            return set(re.findall(r"sk-[a-z-]+", "\n".join(server.heads)))

        assert sent_with("run", "good.jsonl", "--ledger", "f.ledger.db") == {"sk-of-the-defaults"}
        assert sent_with("verify", "f.ledger.db") == {"sk-of-the-defaults"}
        assert sent_with("run", "--job", "a", "--ledger", "a.ledger.db") == set()
        assert sent_with("run", "--job", "a", "--ledger", "a.ledger.db", ALPHA_API_KEY="sk-alpha") == {
            "sk-alpha"
        }
        assert sent_with("verify", "a.ledger.db") == set()
        assert sent_with("verify", "a.ledger.db", ALPHA_API_KEY="sk-alpha") == {"sk-alpha"}
        assert sent_with("run", "--job", "b", "--ledger", "b.ledger.db") == {"sk-of-job-b"}
        assert sent_with("run", "--job", "b", "--profile", "alpha", "--ledger", "c.ledger.db") == set()
        typed = ("--api-key-command", "echo sk-typed")
        assert sent_with("verify", "b.ledger.db", *typed) == {"sk-typed"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('key-variable = "SEEKR_API_KEY"', "belongs to the profile flow"),
        ('team-variable = "SEEKR_TEAM_ID"', "belongs to the profile flow"),
        ('team-variable = "ALPHA_API_KEY"', "holds the key of the profile alpha"),
        ('key-variable = "sk-canary-4711"', "must be a string such as"),
    ],
)
def test_a_variable_that_a_profile_may_not_have(desk: Path, line: str, words: str) -> None:
    """The file is refused with the line, before any variable is read."""
    (desk / "bulk-upload.toml").write_text(f"{SETTINGS}{line}\n")
    ended = run_here("plan", "good.jsonl", "--profile", "bare")
    assert ended.status == ExitStatus.USAGE
    assert f"line {len(SETTINGS.splitlines()) + 1}" in ended.stderr
    assert words in ended.stderr
    assert "4711" not in ended.stderr


def test_a_key_of_any_profile_is_refused_in_the_file(desk: Path) -> None:
    """What is in a profile's variable may not stand in the file, under whatever name."""
    text = f"{SETTINGS}\n[defaults]\nca-file = '{KEYS['alpha']}'\n"
    (desk / "bulk-upload.toml").write_text(text)
    ended = run_here("plan", "good.jsonl", ALPHA_API_KEY=KEYS["alpha"])
    assert (ended.status, "would store a secret" in ended.stderr) == (ExitStatus.USAGE, True)
    assert KEYS["alpha"] not in ended.text
