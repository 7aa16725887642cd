"""What the command changes about garbage collection."""

from __future__ import annotations

import gc

from bulk_upload.cli.uncollected import NEW_OBJECTS_MAX, collect_seldom


def test_a_run_looks_for_garbage_seldom_but_does() -> None:
    """Only the number of new objects is another one: what is in cycles is still found."""
    before = gc.get_threshold()
    try:
        collect_seldom()
        assert gc.get_threshold() == (NEW_OBJECTS_MAX, *before[1:])
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
