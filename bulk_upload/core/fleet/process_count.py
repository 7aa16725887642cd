"""Decides how many processes a run on one machine is worth. Pure.

`python benchmarks/processes.py` measures a machine, and its last lines are the constants below as that machine has them,
ready to replace these: they are estimates until then.
"""

from __future__ import annotations

import msgspec

from bulk_upload.core.text.printable import human_bytes

PROCESSES_MAX = 4
"""An estimate: beyond it processes share the coordinator, the disk and the network card, and `--processes N` says more."""

PROCESS_BYTES = 160 * 1024 * 1024
"""An estimate of one agent's memory: 60 MiB of interpreter and libraries, and the blocks of what it has in flight. The
benchmark prints the highest peak of its agents."""

PAYS_FROM_BYTES = 2 * 1024**3
"""An estimate: one process hashes and encrypts about 1 GB/s, and an agent takes up to a second to start: less data is sent
as soon by one process. The benchmark divides what two processes start later by what they save a byte of 2 x 1 GiB."""

CAP_PAYS_FROM_BYTES_PER_S = 500_000_000.0
"""An estimate: one process keeps up with a bandwidth cap below this. The benchmark prints half of what one sends."""


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
    if machine.processors < count:
        count, reason = int(machine.processors), f"{machine.processors:g} processors may be used"
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
        memory_bytes=(count + 1) * PROCESS_BYTES,
    )


def _one(reason: str) -> ProcessCount:
    return ProcessCount(count=1, reason=reason, memory_bytes=PROCESS_BYTES)
