"""The network: one request an attempt, never replayed, never redirected."""

from bulk_upload.edge.transport.client import (
    ListFailed,
    SendReport,
    Shipment,
    Transport,
    TransportSettings,
)

__all__ = ["ListFailed", "SendReport", "Shipment", "Transport", "TransportSettings"]
