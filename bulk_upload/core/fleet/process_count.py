"""Decides how many processes a run on one machine is worth. Pure.

Where a constant is called measured, `python benchmarks/processes.py` measured it on a machine with two processors; its last
lines are these constants as another machine has them. docs/explanation/performance.md has the table.
"""

from __future__ import annotations

import msgspec

from bulk_upload.core.text.printable import human_bytes

PROCESSES_MAX = 4
"""An estimate: beyond it processes share the command that coordinates them, the disk and the network card, and `--processes N` says more."""

PROCESSORS_EACH = 1.3
"""Measured: what one process takes that sends 2 x 1 GiB, since its threads hash beside the event loop."""

PROCESS_BYTES = 96 * 1024 * 1024
"""Measured: the command and its agents peak at 83 MiB each, with all blocks that they may have, over TLS."""

PAYS_FROM_BYTES = 2 * 1024**3
"""An estimate: less data is sent as soon by one process, which sends 0.5 GB in the time that agents take to start."""

CAP_PAYS_FROM_BYTES_PER_S = 600_000_000.0
"""Measured: half of what one process sends, hashing 2 x 1 GiB. It keeps up with a bandwidth cap below this."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What this process may use: processors, also by share of their time, and bytes of memory; None where unknown."""

    processors: float
    memory_bytes: int | None = None


class ProcessCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many processes send, 1 for this one alone, and why. `memory_bytes` is what all of them take."""

    count: int
    reason: str
    memory_bytes: int


def process_count(
    machine: Machine,
    *,
    send_bytes: int,
    in_flight_max: int | None = None,
    bandwidth_max: float | None = None,
) -> ProcessCount:
    """Return how many processes to use.

    Args:
        machine: what may be used.
        send_bytes: bytes that are to be sent.
        in_flight_max: the person's cap on uploads in flight, None for none.
        bandwidth_max: the highest bandwidth cap of the day in bytes a second, None for none.
    """
    if send_bytes < PAYS_FROM_BYTES:
        return _one(
            f"{human_bytes(send_bytes)} to send; more processes pay from {human_bytes(PAYS_FROM_BYTES)}"
        )
    if bandwidth_max is not None and bandwidth_max < CAP_PAYS_FROM_BYTES_PER_S:
        return _one(f"the bandwidth cap of {human_bytes(bandwidth_max)}/s is less than one process sends")
    count, reason = PROCESSES_MAX, f"at most {PROCESSES_MAX}"
    busy = int(machine.processors / PROCESSORS_EACH)
    if busy < count:
        count, reason = (
            busy,
            f"{machine.processors:g} processors may be used, and each process takes {PROCESSORS_EACH}",
        )
    if in_flight_max is not None and in_flight_max < count:
        count, reason = in_flight_max, f"at most {in_flight_max} in flight"
    if machine.memory_bytes is not None and machine.memory_bytes // PROCESS_BYTES < count:
        count, reason = (
            machine.memory_bytes // PROCESS_BYTES,
            f"{human_bytes(machine.memory_bytes)} of memory",
        )
    if count < 2:
        return _one(reason)
    return ProcessCount(
        count=count,
        reason=f"{human_bytes(send_bytes)} to send, {reason}",
        memory_bytes=count * PROCESS_BYTES,
    )


def _one(reason: str) -> ProcessCount:
    return ProcessCount(count=1, reason=reason, memory_bytes=PROCESS_BYTES)
