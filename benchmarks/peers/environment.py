"""The peers' environment: an interpreter with the packages of `requirements.txt`, made when it is first needed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from functools import cache

from measuring.cache import cache_folder

_HERE = os.path.dirname(os.path.abspath(__file__))


@cache
def peers_python() -> str:
    """Return the interpreter of the peers' own environment, which is made when it is not there yet."""
    requirements = os.path.join(os.path.dirname(_HERE), "requirements.txt")
    folder = os.path.join(cache_folder(), f"peers-{sys.version_info.major}.{sys.version_info.minor}")
    python, made_for = os.path.join(folder, "bin", "python"), os.path.join(folder, "requirements.txt")
    if not _same(requirements, made_for):
        print(f"making the peers' environment in {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        installing = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*installing, "-r", requirements], check=True, stderr=subprocess.DEVNULL)
        shutil.copyfile(requirements, made_for)
    return python


def _same(one: str, other: str) -> bool:
    try:
        with open(one, "rb") as first, open(other, "rb") as second:
            return first.read() == second.read()
    except FileNotFoundError:
        return False


def versions() -> dict[str, dict[str, str]]:
    """Return the packages that bulk-upload and the peers run on."""
    return {"bulk-upload": _packages(sys.executable), "peers": _packages(peers_python())}


def _packages(python: str) -> dict[str, str]:
    script = (
        "import importlib.metadata as m, json, sys; "
        "print(json.dumps({'python': sys.version.split()[0]} | "
        "{one.name: one.version for one in sorted(m.distributions(), key=lambda one: one.name)}))"
    )
    packages: dict[str, str] = json.loads(
        subprocess.run([python, "-c", script], stdout=subprocess.PIPE, check=True).stdout
    )
    return packages
