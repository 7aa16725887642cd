"""The environment of a process of ours: what an interpreter needs to start, and no secrets."""

from __future__ import annotations

import os

_NAMES = frozenset(
    {"HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LD_PRELOAD", "PATH", "TEMP", "TMP", "TMPDIR", "TZ"}
    # What an agent trusts must be what its coordinator trusts.
    | {"SSL_CERT_DIR", "SSL_CERT_FILE"}
)
_STORE_NAMES = frozenset(
    one for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY") for one in (name, name.lower())
) | {"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET"}
_STORE_PREFIXES = ("AWS_", "AZURE_", "GOOGLE_")
"""Where obstore looks for credentials of stores, and for the way to them."""

_PREFIXES = ("ARROW_", "COVERAGE_", "DYLD_", "LC_", "MALLOC_", "OMP_", "PYTHON")


def surroundings(*, with_stores: bool = False) -> dict[str, str]:
    """Return the variables that a child may have: where its libraries are, its locale, what limits its threads.

    Anything else may be a key: users of the library choose the names of their variables. A child `with_stores` reads
    objects by itself, with the credentials that this process would use.
    """
    names = _NAMES | _STORE_NAMES if with_stores else _NAMES
    prefixes = (*_PREFIXES, *_STORE_PREFIXES) if with_stores else _PREFIXES
    return {name: value for name, value in os.environ.items() if name in names or name.startswith(prefixes)}
