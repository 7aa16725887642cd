"""`--token-file`: the token of a run, in a file that no other user can read."""

from __future__ import annotations

import os
import re
import shlex

from bulk_upload.core.text.printable import printable
from bulk_upload.errors import UsageError

_BYTES_MAX = 1000
_TOKEN = re.compile(r"[!-~]{16,500}")


def token_in(path: str) -> str:
    """Return the token in a file. Raises UsageError where there is none, or where others can read it."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise UsageError(
                    f"others can read the token in {printable(path)}", hint=f"chmod 600 {shlex.quote(path)}"
                )
            token = file.read(_BYTES_MAX).decode("ascii", "replace").strip()
    except OSError as error:
        raise UsageError(
            f"cannot read the token in {printable(path)}: {error.strerror}",
            hint="--token-file names the file that was given to `run --listen`, which writes it",
        ) from None
    if _TOKEN.fullmatch(token) is None:
        raise UsageError(
            f"there is no token in {printable(path)}",
            hint="let `run --listen` write the file, or put 32 random characters or more on one line",
        )
    return token


def token_made(path: str, new_token: str) -> str:
    """Return the token in a file, which is made with a new one where it is not there. Raises UsageError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return token_in(path)
    except OSError as error:
        raise UsageError(
            f"cannot write the token to {printable(path)}: {error.strerror}",
            hint="give --token-file a path in a folder that is there and writable",
        ) from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{new_token}\n")
    return new_token
