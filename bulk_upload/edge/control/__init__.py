"""The local socket through which a person controls an active run. docs/how-to/control.md describes it."""

from bulk_upload.edge.control.client import ask
from bulk_upload.edge.control.server import listening

__all__ = ["ask", "listening"]
