"""The words about agents that every display uses."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bulk_upload.core.run.control import AgentState
from bulk_upload.core.text.printable import human_bytes, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.run.control import AgentStatus

NAMED_MAX = 4
"""So many agents are named in one line or block; of a large fleet the rest is counted."""

_GONE = ((AgentState.LOST, "lost"), (AgentState.LEFT, "left"))


def agents_words(agents: Sequence[AgentStatus], left_out_count: int = 0) -> str:
    """Return `3 agents at work (1 silent), 2 lost`; empty where there never was one."""
    if not agents:
        return ""
    counts = Counter(one.state for one in agents)
    at_work = counts[AgentState.LIVE] + counts[AgentState.SILENT]
    silent = f" ({counts[AgentState.SILENT]:,} silent)" if counts[AgentState.SILENT] else ""
    said = [f"{counted(at_work, 'agent')} at work{silent}"]
    said += [f"{counts[state]:,} {word}" for state, word in _GONE if counts[state]]
    return ", ".join(said) + (f"; {left_out_count:,} more" if left_out_count else "")


def doing_words(agent: AgentStatus) -> str:
    """Return what an agent does now: `8 in flight`, `silent`, `lost`."""
    return f"{agent.in_flight:,} in flight" if agent.state is AgentState.LIVE else agent.state.value


def fate_words(agent: AgentStatus) -> str:
    """Return what became of the files that a lost agent had in flight; empty where it had none."""
    fates = (
        (agent.found_count, "at the server"),
        (agent.again_count, "sent again"),
        (agent.failed_count, "failed"),
        (agent.doubt_count, "in doubt"),
    )
    said = [f"{count:,} {words}" for count, words in fates if count]
    return f"{counted(agent.lost_count, 'file')} in flight: {', '.join(said)}" if said else ""


def summary_lines(agents: Sequence[AgentStatus], *, own_count: int = 0, own_bytes: int = 0) -> list[str]:
    """Return who sent how much, the command itself included, and what became of the files of each lost agent; nothing
    without agents."""
    if not agents:
        return []
    most = sorted((one for one in agents if one.accepted_count), key=lambda one: -one.accepted_bytes)
    named = [
        f"{printable(one.agent)} {counted(one.accepted_count, 'file')} ({human_bytes(one.accepted_bytes)})"
        for one in most[:NAMED_MAX]
    ]
    if len(most) > NAMED_MAX:
        rest = most[NAMED_MAX:]
        named.append(
            f"{len(rest):,} others {counted(sum(one.accepted_count for one in rest), 'file')}"
            f" ({human_bytes(sum(one.accepted_bytes for one in rest))})"
        )
    lines = [f"Sent by {counted(len(most), 'agent')}: {', '.join(named)}."] if named else []
    if own_count > 0:
        lines.append(f"Sent by the command itself: {counted(own_count, 'file')} ({human_bytes(own_bytes)}).")
    lost = [one for one in agents if one.state is AgentState.LOST]
    lines += [_lost_line(one) for one in lost[:NAMED_MAX]]
    if len(lost) > NAMED_MAX:
        lines.append(f"{counted(len(lost) - NAMED_MAX, 'more agent')} lost.")
    return lines


def gone_words(agent: AgentStatus) -> str:
    """Return why an agent is gone, and what became of the files that it had in flight; empty while it is at work."""
    if not agent.is_gone:
        return ""
    why = printable(agent.reason or "no reason known")
    if agent.state is AgentState.LEFT:
        return why
    return f"{why}; {fate_words(agent) or 'nothing was in flight'}"


def _lost_line(agent: AgentStatus) -> str:
    return f"Lost {printable(agent.agent)}: {gone_words(agent)}."


def counted(count: int, noun: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
