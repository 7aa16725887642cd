"""What was counted in one file, beside the findings about it."""

from __future__ import annotations

import msgspec

from bulk_upload.core.dataset.statistics import Statistics  # noqa: TC001 - travels between processes


class FileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The statistics of a file, None where they were not wanted, and the hashes of its examples.

    `digests` are three native 64-bit numbers for each example: its hash, that of its prompt, and its line. They are in
    `digest_file` where they are many.
    """

    statistics: Statistics | None = None
    digests: bytes = b""
    digest_file: str | None = None
