"""How many uploads this machine has resources for, learned from those that it could not make."""

from __future__ import annotations


class LocalCap:
    """A cap on the uploads in flight while descriptors or memory are short (EMFILE, ENFILE, ENOMEM).

    Such a failure says nothing about the server. The uploads in flight beside the failed one did fit:
    their number is the cap. One more is tried after every full round of successful uploads.
    """

    def __init__(self) -> None:
        self.cap: int | None = None
        """The most uploads in flight, None where nothing was short."""
        self._went_well_count = 0

    def on_short(self, others_in_flight: int) -> None:
        """Record that an upload failed for lack of a local resource, with the number of others in flight."""
        self.cap = max(1, others_in_flight if self.cap is None else min(self.cap, others_in_flight))
        self._went_well_count = 0

    def on_success(self) -> None:
        """Record that an upload was made."""
        if self.cap is None:
            return
        self._went_well_count += 1
        if self._went_well_count >= self.cap:
            self.cap += 1
            self._went_well_count = 0

    def limited(self, limit: int) -> int:
        """Return a limit under the cap."""
        return limit if self.cap is None else min(limit, self.cap)
