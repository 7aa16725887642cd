"""Key files as editors, containers and other tools leave them, and what holding a key means for a process."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from bulk_upload.cli.options.key_file import exposure
from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import KEY, environment, run_here, run_process

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("mode", "owner_uid", "our_uid", "read_only", "is_used"),
    [
        (0o600, 7, 7, False, None),
        (0o400, 0, 0, True, None),
        (0o444, 0, 0, True, True),
        (0o440, 0, 7, True, True),
        (0o640, 7, 7, True, True),
        (0o666, 9, 7, True, True),
        (0o444, 0, 7, False, True),
        (0o440, 0, 7, False, True),
        (0o444, 0, 0, False, False),
        (0o640, 7, 7, False, False),
        (0o604, 7, 0, False, False),
        (0o444, 9, 7, False, False),
        (0o666, 0, 7, False, False),
        (0o460, 0, 7, False, False),
    ],
)
def test_a_key_file_that_others_can_read(
    mode: int, owner_uid: int, our_uid: int, read_only: bool, is_used: bool | None
) -> None:
    """It is used where whoever runs this can do nothing about it, and nobody else can change it."""
    exposed = exposure(mode=mode, owner_uid=owner_uid, our_uid=our_uid, read_only=read_only)
    assert (None if exposed is None else exposed[1]) == is_used


def key_in(path: Path, data: bytes, mode: int = 0o600) -> str:
    """Write a key file; return its path."""
    path.write_bytes(data)
    path.chmod(mode)
    return str(path)


def test_a_mounted_key_file_is_used_with_a_warning(
    desk: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a container mounts read-only, readable for all, serves; the warning is for people and comes once."""
    path = key_in(desk / "mounted.key", f"{KEY}\n".encode(), 0o444)
    plain = run_here("run", "good.jsonl", "--api-key-file", path, SEEKR_BASE_URL=server)
    assert (plain.status, "chmod 600" in plain.stderr) == (ExitStatus.USAGE, True)
    mounted = os.statvfs_result((4096, 4096, 1, 1, 1, 1, 1, 1, os.ST_RDONLY, 255))
    monkeypatch.setattr("bulk_upload.cli.options.key_file.os.fstatvfs", lambda _: mounted)
    ended = run_here("run", "good.jsonl", "--api-key-file", path, SEEKR_BASE_URL=server)
    assert ended.status == 0, ended.stderr
    assert ended.stderr.count("warning: others can read the API key") == 1
    assert "mounted.key" in ended.stderr
    assert b"warning" not in ended.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mounts as Linux does")
def test_a_key_file_on_a_file_system_that_is_read_only(desk: Path, server: str) -> None:
    """A real mount, where this may make one."""
    script = (
        'mkdir m && mount -t tmpfs -o size=1m none m && echo "$1" > m/key && chmod 444 m/key'
        ' && mount -o remount,ro m || exit 99; shift; exec "$@"'
    )
    command = [sys.executable, "-m", "bulk_upload", "run", "good.jsonl", "--api-key-file", "m/key"]
    try:
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", KEY, *command],
            env=environment({"SEEKR_API_KEY": None, "SEEKR_BASE_URL": server}),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if done.returncode == 99 or "unshare failed" in done.stderr:
        pytest.skip("no mounts of its own here")
    assert done.returncode == 0, done.stderr
    assert "its file system is read-only" in done.stderr


@pytest.mark.parametrize("line_end", [b"", b"\n", b"\r\n"])
def test_a_key_file_with_a_byte_order_mark(desk: Path, server: str, line_end: bytes) -> None:
    """Editors on Windows put the mark there; it is no part of the key."""
    path = key_in(desk / "k", BOM + KEY.encode() + line_end)
    ended = run_here("run", "good.jsonl", "--api-key-file", path, SEEKR_BASE_URL=server)
    assert ended.status == 0, ended.stderr


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (f"SEEKR_API_KEY={KEY}\n".encode(), "NAME=VALUE"),
        (f'export SEEKR_API_KEY="{KEY}"\r\n'.encode(), "NAME=VALUE"),
        (BOM + f"# keys\nOTHER=1\nSEEKR_API_KEY={KEY}\n".encode(), "NAME=VALUE"),
        (f'{{"api_key":"{KEY}"}}'.encode(), "is JSON"),
        (KEY.encode("utf-16"), "UTF-16"),
        (b"\xff\x00\x80key", "not UTF-8"),
    ],
)
def test_a_file_that_is_no_key_is_named_for_what_it_is(desk: Path, data: bytes, words: str) -> None:
    """Nothing of it is sent or shown."""
    for arguments in (("--api-key-file", key_in(desk / "k", data)), ("--api-key-command", "cat k")):
        ended = run_here("run", "good.jsonl", *arguments)
        assert ended.status == ExitStatus.USAGE
        assert words in ended.stderr
        assert "hint: " in ended.stderr
        assert KEY not in ended.text


def test_a_variable_that_holds_a_line_of_an_env_file(desk: Path) -> None:
    """A whole line in the variable is no key either."""
    ended = run_here("run", "good.jsonl", SEEKR_API_KEY=f"SEEKR_API_KEY={KEY}")
    assert (ended.status, "NAME=VALUE" in ended.stderr) == (ExitStatus.USAGE, True)


def test_a_key_may_end_like_base64(desk: Path) -> None:
    """The `=` behind it names nothing."""
    for key in ("c2stbmV2ZXI=", "c2stbmV2ZQ=="):
        ended = run_here("doctor", "good.jsonl", SEEKR_API_KEY=key)
        assert "well-formed" in ended.stdout.decode()


def test_settings_and_schemas_with_a_byte_order_mark(desk: Path, server: str) -> None:
    """The mark is passed over in bulk-upload.toml and in schema files, whatever the line ends are."""
    (desk / "bulk-upload.toml").write_bytes(BOM + b"[defaults]\r\nschema = 's.toml'\r\nsettle = 1\r\n")
    (desk / "s.toml").write_bytes(BOM + b"[purposes.mine]\r\nsuffixes = ['.jsonl']\r\n")
    ended = run_here("run", "good.jsonl", SEEKR_BASE_URL=server)
    assert ended.status == 0, ended.stderr
    (desk / "s.json").write_bytes(BOM + b'{"purposes": {"mine": {"suffixes": [".jsonl"]}}}')
    assert run_here("plan", "good.jsonl", "--schema", "s.json").status == 0
    (desk / "bulk-upload.toml").write_bytes("[defaults]\n".encode("utf-16"))
    ended = run_here("plan", "good.jsonl")
    assert (ended.status, "UTF-16" in ended.stderr) == (ExitStatus.USAGE, True)


def test_no_core_dump_while_a_key_is_held(desk: Path) -> None:
    """The command line and its children may not dump a key; nothing is changed where there is none to hold."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == 0:
        pytest.skip("no core dumps here at all")
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        assert run_here("plan", "good.jsonl").status == 0
        assert resource.getrlimit(resource.RLIMIT_CORE) == (hard, hard)
        command = f"sh -c 'ulimit -c >limit; echo {KEY}'"
        run_process("run", "good.jsonl", "--deadline", "1ms", "--api-key-command", command)
        assert (desk / "limit").read_text() == "0\n"
        run_here("doctor", "good.jsonl")
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def test_the_library_leaves_the_limit_alone(desk: Path) -> None:
    """Limits of a process are the business of whoever wrote it."""
    limit = resource.getrlimit(resource.RLIMIT_CORE)
    script = (
        "import resource; from bulk_upload import RunSettings, upload;"
        f"upload('good.jsonl', api_key={KEY!r}, base_url='http://127.0.0.1:9', settings=RunSettings(deadline_s=0.001));"
        "print(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == f"{limit}\n", done.stderr
