"""What a person must know who wants silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.cli.output.streams import tell
from bulk_upload.core.events import PlanMade
from bulk_upload.core.text.printable import printable

if TYPE_CHECKING:
    from bulk_upload.core.events import Event


def warn_of_seen(event: Event) -> None:
    """Say that files are about to be sent that the server seems to have: a ledger in a cron job may be lost."""
    if isinstance(event, PlanMade) and event.seen_count:
        tell(f"bulk-upload: warning: {printable(event.warnings[-1])}")
