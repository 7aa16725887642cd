"""The local socket by which a person reaches a run at work. docs/how-to/control.md describes it."""

from bulk_upload.edge.control.client import ask
from bulk_upload.edge.control.server import listening

__all__ = ["ask", "listening"]
