"""Builds the C programs of the benchmarks with the system's compiler; each is kept until its source changes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess

from measuring.absent import Absent
from measuring.cache import cache_folder

_FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-pthread")


class NoCompiler(Absent):
    """This machine has no C compiler."""


def compiled(source: str, *libraries: str) -> str:
    """Return the path of the program built from a C file and some libraries. Raises NoCompiler, CalledProcessError."""
    with open(source, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:12]
    name = os.path.basename(source).removesuffix(".c")
    program = os.path.join(cache_folder(), f"{name}-{digest}")
    if not os.path.exists(program):
        partial = f"{program}.{os.getpid()}"
        subprocess.run(
            [_compiler(), *_FLAGS, "-o", partial, source, *(f"-l{one}" for one in libraries)], check=True
        )
        os.replace(partial, program)
    return program


def _compiler() -> str:
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and (path := shutil.which(name)):
            return path
    raise NoCompiler("no C compiler: install gcc or clang")
