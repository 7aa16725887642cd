"""How many requests bundles save, before anything is sent."""

from __future__ import annotations

from bulk_upload.core.bundle.forecast import BundleForecast, BundlesPlanned
from bulk_upload.core.model import Entry


def forecast(
    files_max: int, sizes: list[int], *, purposes: str = "p", batch_bytes_max: int = 1000
) -> BundlesPlanned:
    counted = BundleForecast(files_max, file_bytes_max=100, batch_bytes_max=batch_bytes_max)
    for number, size in enumerate(sizes):
        entry = Entry(path=f"{number}", purpose=purposes[number % len(purposes)])
        counted.add(entry, entry.path, size)
    return counted.planned()


def test_files_go_together_as_they_are_read_ahead() -> None:
    """Up to N in a request, and never more than are read at once; what is left alone is no bundle."""
    assert forecast(8, [1] * 20) == BundlesPlanned(files_max=8, file_count=20, bundle_count=3)
    assert forecast(8, [1] * 20).saved_count == 17
    assert forecast(64, [1] * 65) == BundlesPlanned(files_max=64, file_count=64, bundle_count=1)
    assert forecast(8, [1]) == BundlesPlanned(files_max=8)


def test_what_goes_by_itself() -> None:
    """Large files, what no longer fits into memory at once, and other purposes."""
    assert forecast(8, [1, 101, 1]).file_count == 2
    assert forecast(8, [100] * 20).file_count == 10
    assert forecast(8, [1] * 10, purposes="pq") == BundlesPlanned(files_max=8, file_count=10, bundle_count=2)
