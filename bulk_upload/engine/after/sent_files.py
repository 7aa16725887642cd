"""Files and objects that an earlier run sent, hashed where they still are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.objects.address import is_address
from bulk_upload.core.run.source import SourceError
from bulk_upload.edge.files import FileReader
from bulk_upload.edge.objects.reader import ObjectReader
from bulk_upload.edge.source_tree import SourceTree
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.content_hash import HashFunction
    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.edge.objects.stores import Stores

_THREADS = 4


class SentFiles:
    """Hashes files beneath a job's root, which may be gone. The root is opened at the first file.

    Args:
        root: the folder that the ledger's paths start from.
        stuck_s: how long one call to the file system may take.
        stores: where objects are.
    """

    def __init__(self, root: str, *, stuck_s: float, stores: Stores) -> None:
        self._root = root
        self._objects = ObjectReader(stores)
        self._stuck_s = stuck_s
        self._reader: FileReader | None = None

    async def hash_content(
        self,
        path: str,
        function: HashFunction,
        *,
        expected: Fingerprint | None = None,
        ranges: Sequence[ByteRange] = (),
    ) -> tuple[str, Fingerprint]:
        """Hash a file as it is now, only some `ranges` of it where any are given. Raises SourceError, also for a file
        that is not the `expected` version."""
        if is_address(path):
            return await self._objects.hash_content(path, function, expected=expected, ranges=ranges)
        if self._reader is None:
            self._reader = FileReader(self._tree(), thread_count=_THREADS, stuck_s=self._stuck_s)
        return await self._reader.hash_content(path, function, expected=expected, ranges=ranges)

    def close(self) -> None:
        """End the threads."""
        self._objects.close()
        if self._reader is not None:
            self._reader.close()

    def _tree(self) -> SourceTree:
        try:
            # Links and files outside the root are allowed: the run checked them when it sent them.
            return SourceTree(self._root, follow_symlinks=True, allow_outside=True)
        except UsageError as error:
            raise SourceError(str(error)) from error
