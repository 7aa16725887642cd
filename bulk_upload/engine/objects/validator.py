"""Checks objects beside files. In a run that is seldom asked for: they are checked when they are read, or on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from bulk_upload.core.objects.address import is_address
from bulk_upload.core.run.source import LoadedFile, SourceError
from bulk_upload.edge.files import source_error
from bulk_upload.engine.validation.beside_files import BesideFiles
from bulk_upload.engine.validation.validating import Checked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bulk_upload.core.run.ports import Reader
    from bulk_upload.engine.validation.validating import CheckTarget, Validating


class ObjectValidator(BesideFiles["Validating"]):
    """`Validating` with objects, and with files for every other path.

    Args:
        files: checks the files, and says what an object is checked for.
        objects: reads the objects.
        on_bytes: called with how many more bytes of an object were read.
    """

    def __init__(
        self, files: Validating, objects: Reader, *, on_bytes: Callable[[int], None] | None = None
    ) -> None:
        super().__init__(files)
        self._objects = objects
        self._on_bytes = on_bytes

    async def check_all(
        self, targets: Sequence[CheckTarget], *, are_small: bool
    ) -> list[Checked | SourceError]:
        """Check files, and objects as they are now; one that cannot be read has its error in its place."""
        files = [one for one in targets if not is_address(one.path)]
        of_files = iter(await self._files.check_all(files, are_small=are_small) if files else ())
        return [await self._check(one) if is_address(one.path) else next(of_files) for one in targets]

    async def _check(self, target: CheckTarget) -> Checked | SourceError:
        check = self.block_check(target)
        try:
            async with self._objects.source(target.path) as source:
                if isinstance(source, LoadedFile):
                    raise TypeError("an object is a stream")
                while block := await source.read():
                    await anyio.to_thread.run_sync(check.feed, block)
                    if self._on_bytes is not None:
                        self._on_bytes(len(block))
                report = await anyio.to_thread.run_sync(check.report)
                return Checked(report=report, fingerprint=source.fingerprint)
        except SourceError as error:
            return error
        except OSError as error:
            return source_error(error)
        finally:
            check.close()
