"""Checks data that comes by streams beside files on disk."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio

from bulk_upload.edge.files import fingerprint_of, source_error
from bulk_upload.engine.validation.beside_files import BesideFiles
from bulk_upload.engine.validation.validating import Checked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bulk_upload.core.run.source import SourceError
    from bulk_upload.core.validation.report import FileReport
    from bulk_upload.edge.validation.stream import DataStream
    from bulk_upload.engine.validation.file_validator import FileValidator
    from bulk_upload.engine.validation.validating import CheckTarget


class StreamValidator(BesideFiles["FileValidator"]):
    """`Validating` with streams under names of their own, and with files for every other name.

    Args:
        files: checks the files, and says what a stream is checked for.
        streams: by the names that targets and findings have for them; each is checked once.
        on_bytes: called with how many more bytes of a stream were read, on another thread.
    """

    def __init__(
        self,
        files: FileValidator,
        streams: Mapping[str, DataStream],
        *,
        on_bytes: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__(files)
        self._streams = streams
        self._on_bytes = on_bytes

    async def check_all(
        self, targets: Sequence[CheckTarget], *, are_small: bool
    ) -> list[Checked | SourceError]:
        """Check files and streams; one that cannot be read has its error in its place."""
        results: list[Checked | SourceError] = []
        for target in targets:
            stream = self._streams.get(target.path)
            if stream is None:
                results += await self._files.check_all([target], are_small=are_small)
            else:
                results.append(await self._streamed(stream, target))
        return results

    async def _streamed(self, stream: DataStream, target: CheckTarget) -> Checked | SourceError:
        check: Callable[[], FileReport] = partial(
            stream.check, self._files.task(*target), on_bytes=self._on_bytes
        )
        try:
            # A reader of a pipe may wait for ever; Ctrl-C must not wait for it.
            report = await anyio.to_thread.run_sync(check, abandon_on_cancel=True)
        except OSError as error:
            return source_error(error)
        return Checked(report=report, fingerprint=fingerprint_of(stream.status()))
