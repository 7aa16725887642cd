"""The network: one request an attempt, never replayed, never redirected."""

from bulk_upload.edge.transport.client import (
    SendReport,
    Shipment,
    Transport,
    TransportSettings,
)
from bulk_upload.edge.transport.questions import Unanswered

__all__ = ["SendReport", "Shipment", "Transport", "TransportSettings", "Unanswered"]
