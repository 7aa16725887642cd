"""The network: one request per attempt, never replayed, never redirected."""

from bulk_upload.edge.transport.client import Transport
from bulk_upload.edge.transport.no_answer import NoAnswer
from bulk_upload.edge.transport.settings import TransportSettings

__all__ = ["NoAnswer", "Transport", "TransportSettings"]
