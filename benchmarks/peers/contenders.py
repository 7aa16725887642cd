"""Who is measured: bulk-upload, what a user would pick instead, and what the machine allows."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from measuring.absent import Absent
from measuring.compiled import compiled
from measuring.file_sets import PURPOSE
from measuring.processes import bulk_upload_command
from peers.environment import peers_python

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from measuring.file_sets import FileSet

_HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What one process is to do: send `files` to `url`, `in_flight` at a time. `scratch` is new and empty.

    `ca_file` has the certificate that the server shows, None where it speaks plain HTTP.
    """

    files: FileSet
    url: str
    in_flight: int
    scratch: str
    ca_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One way to upload files. `label` is its name in a table; `environment` is added to its process."""

    label: str
    command: Callable[[Scene], list[str]]
    environment: Mapping[str, str] = field(default_factory=dict)


OURS = "ours"

_OUR_ENVIRONMENT = {"SEEKR_API_KEY": "benchmark"}
_PEER_ENVIRONMENT = {"SEEKR_DISABLE_TQDM": "1"}


def _our_command(scene: Scene, *words: str) -> list[str]:
    """Return the command line of bulk-upload, with a new ledger in the scratch folder.

    The sink keeps no list, and no other client looks at one.
    """
    manifest = os.path.join(scene.scratch, "job.jsonl")
    shutil.copyfile(scene.files.manifest, manifest)
    command = bulk_upload_command(
        "run", manifest, "--root", scene.files.root, "--base-url", scene.url, "--confirm", "off", *words
    )
    if scene.ca_file is not None:
        command += ["--ca-file", scene.ca_file]
    return command


def ours(label: str, *words: str, fixed: bool = True, package: str | None = None) -> Contender:
    """Return a run of bulk-upload with some options; `fixed`, with as many in flight as everybody. Some need a `package`."""

    def command(scene: Scene) -> list[str]:
        if package is not None and find_spec(package) is None:
            raise Absent(f"{package} is not installed")
        for word in words:
            if word.startswith("--") and word not in _our_help():
                raise Absent(f"bulk-upload has no {word}")
        concurrency = ("--concurrency", str(scene.in_flight)) if fixed else ()
        return _our_command(scene, *concurrency, *words)

    return Contender(label=label, command=command, environment=_OUR_ENVIRONMENT)


@cache
def _our_help() -> str:
    return subprocess.run(
        bulk_upload_command("run", "--help"), stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def _peer(label: str, script: str, *, tls: bool) -> Contender:
    def command(scene: Scene) -> list[str]:
        if scene.ca_file is not None and not tls:
            raise Absent("cannot be told of a certificate")
        words = [
            peers_python(),
            os.path.join(_HERE, "scripts", script),
            scene.files.listing,
            scene.url,
            str(scene.in_flight),
        ]
        return words if scene.ca_file is None else [*words, scene.ca_file]

    return Contender(label=label, command=command, environment=_PEER_ENVIRONMENT)


def _curl(scene: Scene) -> list[str]:
    program = shutil.which("curl")
    if program is None:
        raise Absent("curl is not installed")
    config = os.path.join(scene.scratch, "curl.txt")
    certificate = "" if scene.ca_file is None else f'cacert = "{scene.ca_file}"\n'
    with open(config, "w", encoding="utf-8") as lines:
        lines.write(f"parallel\nparallel-immediate\nparallel-max = {scene.in_flight}\nsilent\n")
        for number, path in enumerate(scene.files.paths()):
            lines.write("next\n" if number else "")
            lines.write(
                f'url = "{scene.url}/v1/flow/files"\nrequest = PUT\nform = "purpose={PURPOSE}"\n'
                f'form = "files=@{path}"\nheader = "Authorization: benchmark"\nheader = "Expect:"\n'
                f"fail\noutput = /dev/null\n{certificate}"
            )
    return [program, "--config", config]


def _limit(scene: Scene) -> list[str]:
    if scene.ca_file is not None:
        raise Absent("speaks plain HTTP only")
    program = compiled(os.path.join(_HERE, "limit.c"))
    host, port = scene.url.removeprefix("http://").split(":")
    return [program, scene.files.listing, host, port, str(scene.in_flight)]


CONTENDERS: dict[str, Contender] = {
    OURS: ours("bulk-upload --validate off", "--validate", "off"),
    "ours-validating": ours("bulk-upload, which also validates"),
    "ours-no-hash": ours("bulk-upload --validate off --hash off", "--validate", "off", "--hash", "off"),
    "ours-blake3": ours(
        "bulk-upload --validate off --hash blake3", "--validate", "off", "--hash", "blake3", package="blake3"
    ),
    "ours-bundle": ours("bulk-upload --validate off --bundle 64", "--validate", "off", "--bundle", "64"),
    "ours-default": ours("bulk-upload, its own concurrency", fixed=False),
    "F": _peer("aiohttp, FormData", "aiohttp_form.py", tls=True),
    "lean": _peer("aiohttp, ready payload, no ledger", "aiohttp_lean.py", tls=True),
    "S": _peer("seekrai, loop", "seekrai_loop.py", tls=False),
    "B": _peer("seekrai, bulk_upload", "seekrai_bulk.py", tls=False),
    "T": _peer("seekrai, threads", "seekrai_threads.py", tls=False),
    "O": _peer("openai, semaphore", "openai_async.py", tls=False),
    "httpx": _peer("httpx, semaphore", "httpx_async.py", tls=True),
    "requests": _peer("requests, threads", "requests_threads.py", tls=True),
    "C": Contender(label="curl --parallel", command=_curl),
    "L": Contender(label="C, sendfile", command=_limit),
}
"""By the short name that `--peers` takes."""
