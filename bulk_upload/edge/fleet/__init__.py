"""The connections between a coordinator and its agents: one WebSocket each, and the processes started on this machine."""

from bulk_upload.edge.fleet.access import Access
from bulk_upload.edge.fleet.boot_clock import boot_s
from bulk_upload.edge.fleet.client import Channel, ConnectionLost, Dialer, NotAdmitted
from bulk_upload.edge.fleet.processes import AgentProcesses, AgentStart
from bulk_upload.edge.fleet.server import Admitted, AgentServer, Link, Members, tls_context

__all__ = [
    "Access",
    "Admitted",
    "AgentProcesses",
    "AgentServer",
    "AgentStart",
    "Channel",
    "ConnectionLost",
    "Dialer",
    "Link",
    "Members",
    "NotAdmitted",
    "boot_s",
    "tls_context",
]
