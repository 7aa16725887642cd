"""The local socket by which a person reaches a run at work. docs/control.md describes it."""

from bulk_upload.edge.control.asking import ask
from bulk_upload.edge.control.listening import listening

__all__ = ["ask", "listening"]
