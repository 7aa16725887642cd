"""Builds the C programs of this folder with the system's compiler; each is kept until its source changes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess

from cache import cache_folder

_HERE = os.path.dirname(os.path.abspath(__file__))
_FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-pthread")


class NoCompiler(Exception):
    """This machine has no C compiler."""


def compiled(name: str) -> str:
    """Return the path of the program built from `name`.c. Raises NoCompiler, CalledProcessError."""
    source = os.path.join(_HERE, f"{name}.c")
    with open(source, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:12]
    program = os.path.join(cache_folder(), f"{name}-{digest}")
    if not os.path.exists(program):
        partial = f"{program}.{os.getpid()}"
        subprocess.run([_compiler(), *_FLAGS, "-o", partial, source], check=True)
        os.replace(partial, program)
    return program


def _compiler() -> str:
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and (path := shutil.which(name)):
            return path
    raise NoCompiler("no C compiler: install gcc or clang")
