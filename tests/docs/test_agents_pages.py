"""The guides about agents work as written, with this machine in the place of all others."""

from __future__ import annotations

import csv
import io
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from bulk_upload.sandbox import Sandbox, SandboxConfig, sandbox_in_thread
from tests.docs.stage import DOCS, Stage, blocks_of

KEY = "sandbox-key"
CHAT = '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "Yes."}]}\n'
AGENT = "exec >>agents.log 2>&1; echo $$ >>agents.pids; exec setsid"
"""An agent that comes when the run is over waits for another one: it must not hold what prints to the test."""

OTHER_MACHINES = {
    "hostname": "echo 127.0.0.1",
    "ssh": f'shift; {AGENT} sh -c "$1"',
    "srun": f'{AGENT} "$@"',
    "sbatch": 'exec bash "$1"',
}
"""What stands for commands that lead elsewhere."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(SandboxConfig(keys=(KEY,))) as running:
        yield running


@pytest.fixture
def stage(sandbox: Sandbox, tmp_path: Path) -> Iterator[Stage]:
    """A folder with data, a key file, and commands that stay on this machine; agents that still wait end with the test."""
    folder = tmp_path / "stage"
    for name in ("datasets", "more"):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            (folder / name / f"{name}-{number}.jsonl").write_text(CHAT % f"{name} {number}")
    (folder / "seekr.key").write_text(f"{KEY}\n")
    (folder / "seekr.key").chmod(0o600)
    commands = tmp_path / "stage-bin"
    commands.mkdir()
    for name, script in OTHER_MACHINES.items():
        (commands / name).write_text(f"#!/bin/sh\n{script}\n")
        (commands / name).chmod(0o755)
    yield Stage(folder=folder, url=sandbox.url, key=KEY)
    pids = folder / "agents.pids"
    for pid in pids.read_text().split() if pids.exists() else ():
        with suppress(ProcessLookupError):
            os.killpg(int(pid), signal.SIGKILL)


@contextmanager
def free_port() -> Iterator[int]:
    """Yield a port that nobody else gets: bound, but not listened at, which lets a server of ours have it."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def follow(stage: Stage, page: str, port: int = 0) -> list[str]:
    """Do what a page says, with a port of ours in the place of its own; return what each command printed."""
    said = []
    for block in blocks_of(DOCS / page):
        stage.do(replace(block, code=block.code.replace("8790", str(port))))
        if block.what == "run":
            said.append(stage.said)
    return said


def agents_in(exported: str) -> set[str]:
    """The agents in the last column of what `cut` left."""
    rows = csv.reader(io.StringIO(exported))
    assert next(rows) == ["path", "status", "agent"]
    return {row[2] for row in rows}


def test_processes(stage: Stage, sandbox: Sandbox) -> None:
    """Both forms send everything once, and the export says who did: the command, and an agent if it came in time."""
    ran, _, exported, _ = follow(stage, "how-to/processes.md")
    assert "every entry of the job is accepted" in ran
    assert agents_in(exported)
    assert len(sandbox.files) == len({one.filename for one in sandbox.files}) == 8


def test_machines(stage: Stage, sandbox: Sandbox) -> None:
    """By ssh, and as a Slurm job that sends what is new by then."""
    with free_port() as port:
        for block in blocks_of(DOCS / "how-to/machines.md"):
            if block.code.startswith("sbatch"):
                assert "Agents of the last run" in stage.said
                assert len(sandbox.files) == 4
                (stage.folder / "datasets" / "new.jsonl").write_text(CHAT % "new")
            stage.do(replace(block, code=block.code.replace("8790", str(port))))
    assert "Accepted 1 of 5 entries" in stage.said
    assert "Sent by 1 agent" in stage.said
    assert len(sandbox.files) == 5


def test_the_kubernetes_jobs_are_what_the_commands_take(stage: Stage, sandbox: Sandbox) -> None:
    """The manifests are well-formed, mount what they name, and their commands upload, with our paths for theirs."""
    (block,) = [one for one in blocks_of(DOCS / "how-to/machines.md") if one.detail == "upload.yaml"]
    service, run, agents = yaml.safe_load_all(block.code)
    assert service["spec"]["selector"] == run["spec"]["template"]["metadata"]["labels"]
    commands = []
    with free_port() as port:
        places = {
            "/data/": f"{stage.folder}/",
            "/ledgers/": f"{stage.folder}/",
            "/secrets/key": f"{stage.folder}/seekr.key",
            "/secrets/token": f"{stage.folder}/upload.token",
            "0.0.0.0": "127.0.0.1",
            "ws://upload:": "ws://127.0.0.1:",
            "8790": str(port),
        }
        for job in (run, agents):
            pod = job["spec"]["template"]["spec"]
            assert {one["name"] for one in pod["volumes"]} == {
                one["name"] for one in pod["containers"][0]["volumeMounts"]
            }
            words = " ".join(pod["containers"][0]["args"])
            for theirs, ours in places.items():
                words = words.replace(theirs, ours)
            commands.append(f"bulk-upload {words}")
        (stage.folder / "upload.token").write_text("a-token-of-some-length\n")
        (stage.folder / "upload.token").chmod(0o600)
        agent = f"( echo $BASHPID >>agents.pids; exec setsid {commands[1]} >>agents.log 2>&1 ) &"
        assert stage.run(f"{agent} {agent} {commands[0]}") == 0, stage.said
    assert len(sandbox.files) == 4


def test_dask(stage: Stage, sandbox: Sandbox) -> None:
    """The program runs as it stands; the command does so against a scheduler, in a test that is marked."""
    pytest.importorskip("distributed")
    blocks = blocks_of(DOCS / "how-to/dask.md")
    program = next(one for one in blocks if one.detail == "upload_on_dask.py")
    stage.do(program)
    stage.do(next(one for one in blocks if one.code == "python upload_on_dask.py more\n"))
    assert len(sandbox.files) == 4


@pytest.mark.cluster
def test_dask_by_command(stage: Stage, sandbox: Sandbox) -> None:
    """The whole page, with a scheduler and a worker of real processes."""
    pytest.importorskip("distributed")
    start = (
        "python -m distributed.cli.dask_scheduler --host 127.0.0.1 --port 0 --dashboard-address 127.0.0.1:0"
        " --scheduler-file scheduler.json >scheduler.log 2>&1 & echo $! >scheduler.pid\n"
        "until [ -s scheduler.json ]; do sleep 0.1; done\n"
        "python -m distributed.cli.dask_worker --scheduler-file scheduler.json --no-nanny --no-dashboard --host 127.0.0.1"
        " >worker.log 2>&1 & echo $! >worker.pid"
    )
    try:
        assert stage.run(start) == 0, stage.said
        state, _ = follow(stage, "how-to/dask.md")
    finally:
        stage.run("kill -9 $(cat scheduler.pid worker.pid)")
    assert "Agents of the last run" in state
    assert len(sandbox.files) == 8
