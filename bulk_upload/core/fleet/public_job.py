"""What an agent may be told where others may listen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from bulk_upload.core.api.network import DIRECT
from bulk_upload.core.objects.options import without_secrets

if TYPE_CHECKING:
    from bulk_upload.core.fleet.messages import AgentJob


def public(job: AgentJob) -> AgentJob:
    """Return a job without what others must not read: the key, a proxy that may have a password, keys of stores."""
    return replace(
        job,
        key=None,
        connection=replace(job.connection, network=DIRECT),
        sources=tuple(map(without_secrets, job.sources)),
    )
