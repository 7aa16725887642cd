"""Where the benchmarks keep what takes long to make: data, compiled programs, the peers' environment."""

from __future__ import annotations

import os
import tempfile


def cache_folder() -> str:
    """Return the folder, made if needed: $BULK_UPLOAD_BENCHMARKS, or one of this user in the temporary folder."""
    chosen = os.environ.get("BULK_UPLOAD_BENCHMARKS")
    folder = chosen or os.path.join(tempfile.gettempdir(), f"bulk-upload-benchmarks-{os.getuid()}")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if os.stat(folder).st_uid != os.getuid():
        # Programs are run from there.
        raise SystemExit(f"{folder} belongs to somebody else")
    return os.path.realpath(folder)
