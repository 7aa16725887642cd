"""How many requests bundles save, before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.bundle.grouping import FILES_MAX, FILES_MIN, Member, bundles_of, may_join
from bulk_upload.core.text.name_forms import twin_form

if TYPE_CHECKING:
    from bulk_upload.core.model import Entry


class BundlesPlanned(msgspec.Struct, frozen=True, kw_only=True):
    """`file_count` files to send go in `bundle_count` requests of at most `files_max`, if none is refused."""

    files_max: int
    file_count: int = 0
    bundle_count: int = 0

    @property
    def saved_count(self) -> int:
        """How many requests fewer that is than one for each file."""
        return self.file_count - self.bundle_count


class BundleForecast:
    """Counts the bundles of entries that are to be sent, in order.

    Args:
        files_max: how many files a bundle may have.
        file_bytes_max: larger files are not read ahead, and go by themselves.
        batch_bytes_max: how many bytes are read ahead at once; a bundle has no more.
    """

    def __init__(self, files_max: int, *, file_bytes_max: int, batch_bytes_max: int) -> None:
        self._files_max = files_max
        self._file_bytes_max = file_bytes_max
        self._batch_bytes_max = batch_bytes_max
        self._batch: list[Member] = []
        self._batch_bytes = self._batch_entries = 0
        self._file_count = self._bundle_count = 0

    def add(self, entry: Entry, sent_name: str, file_bytes: int) -> None:
        """Add an entry that will be sent."""
        if self._batch_entries == FILES_MAX:
            self._close()
        self._batch_entries += 1
        fits = file_bytes <= min(self._file_bytes_max, self._batch_bytes_max - self._batch_bytes)
        if fits and may_join(entry):
            self._batch.append(Member(entry.purpose, twin_form(sent_name)))
        if fits:
            self._batch_bytes += file_bytes

    def planned(self) -> BundlesPlanned:
        """Return the counts; nothing can be added after that."""
        self._close()
        return BundlesPlanned(
            files_max=self._files_max, file_count=self._file_count, bundle_count=self._bundle_count
        )

    def _close(self) -> None:
        for bundle in bundles_of(self._batch, self._files_max):
            if len(bundle) >= FILES_MIN:
                self._file_count += len(bundle)
                self._bundle_count += 1
        self._batch = []
        self._batch_bytes = self._batch_entries = 0
