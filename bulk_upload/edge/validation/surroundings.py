"""The environment of a process of ours: what an interpreter needs to start, and no secrets."""

from __future__ import annotations

import os

_NAMES = frozenset(
    {"HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LD_PRELOAD", "PATH", "TEMP", "TMP", "TMPDIR", "TZ"}
    # What an agent trusts must be what its coordinator trusts.
    | {"SSL_CERT_DIR", "SSL_CERT_FILE"}
)
_PREFIXES = ("ARROW_", "COVERAGE_", "DYLD_", "LC_", "MALLOC_", "OMP_", "PYTHON")


def surroundings() -> dict[str, str]:
    """Return the variables that a child may have: where its libraries are, its locale, what limits its threads.

    Anything else may be a key: users of the library choose the names of their variables.
    """
    return {name: value for name, value in os.environ.items() if name in _NAMES or name.startswith(_PREFIXES)}
