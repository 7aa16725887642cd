"""The network: one request an attempt, never replayed, never redirected."""

from bulk_upload.edge.transport.client import Transport
from bulk_upload.edge.transport.questions import Unanswered
from bulk_upload.edge.transport.shipment import SendReport, Shipment, TransportSettings

__all__ = ["SendReport", "Shipment", "Transport", "TransportSettings", "Unanswered"]
