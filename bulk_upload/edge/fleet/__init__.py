"""The connections between a coordinator and its agents: one WebSocket each, and the processes started on this machine.

Names are imported from their modules when they are first used: an agent needs nothing that listens, and who only starts
its process needs no HTTP library.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk_upload.edge.fleet.access import Access
    from bulk_upload.edge.fleet.boot_clock import boot_s
    from bulk_upload.edge.fleet.client import Channel, ConnectionLost, Dialer, NotAdmitted
    from bulk_upload.edge.fleet.processes import AgentProcesses, AgentStart, EarlyProcesses
    from bulk_upload.edge.fleet.server import Admitted, AgentServer, Link, Members, tls_context

_HOME_OF = {
    name: module
    for module, names in {
        "access": ("Access",),
        "boot_clock": ("boot_s",),
        "client": ("Channel", "ConnectionLost", "Dialer", "NotAdmitted"),
        "processes": ("AgentProcesses", "AgentStart", "EarlyProcesses"),
        "server": ("Admitted", "AgentServer", "Link", "Members", "tls_context"),
    }.items()
    for name in names
}

__all__ = [
    "Access",
    "Admitted",
    "AgentProcesses",
    "AgentServer",
    "AgentStart",
    "Channel",
    "ConnectionLost",
    "Dialer",
    "EarlyProcesses",
    "Link",
    "Members",
    "NotAdmitted",
    "boot_s",
    "tls_context",
]


def __getattr__(name: str) -> object:
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
