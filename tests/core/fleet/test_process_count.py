"""How many processes a run is worth on one machine."""

from __future__ import annotations

from typing import Any

import pytest

from bulk_upload.core.fleet.process_count import (
    PAYS_FROM_BYTES,
    PROCESS_BYTES,
    PROCESSES_MAX,
    Machine,
    process_count,
)

LARGE = Machine(processors=32.0, memory_bytes=64 * 1024**3)
MUCH = 100 * PAYS_FROM_BYTES


def test_much_data_on_a_large_machine_takes_the_most() -> None:
    """And no more: beyond that nothing was gained."""
    found = process_count(LARGE, send_bytes=MUCH)
    assert found.count == PROCESSES_MAX
    assert found.memory_bytes == PROCESSES_MAX * PROCESS_BYTES


@pytest.mark.parametrize(
    ("machine", "options", "count", "why"),
    [
        (LARGE, {"send_bytes": PAYS_FROM_BYTES - 1}, 1, "more processes pay from"),
        (LARGE, {"send_bytes": MUCH, "bandwidth_max": 50e6}, 1, "bandwidth cap"),
        (LARGE, {"send_bytes": MUCH, "in_flight_max": 2}, 2, "at most 2 in flight"),
        (LARGE, {"send_bytes": MUCH, "in_flight_max": 1}, 1, "at most 1 in flight"),
        (Machine(processors=4.0), {"send_bytes": MUCH}, 3, "4 processors"),
        (Machine(processors=2.6), {"send_bytes": MUCH}, 2, "2.6 processors"),
        (Machine(processors=2.0), {"send_bytes": MUCH}, 1, "2 processors"),
        (Machine(processors=0.2), {"send_bytes": MUCH}, 1, "0.2 processors"),
        (Machine(processors=8.0, memory_bytes=3 * PROCESS_BYTES), {"send_bytes": MUCH}, 3, "of memory"),
        (Machine(processors=8.0, memory_bytes=0), {"send_bytes": MUCH}, 1, "of memory"),
    ],
)
def test_what_is_short_decides(machine: Machine, options: dict[str, Any], count: int, why: str) -> None:
    """Bytes, processors, memory and the person's own caps; the reason names the one that decided."""
    found = process_count(machine, **options)
    assert found.count == count
    assert why in found.reason
