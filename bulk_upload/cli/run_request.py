"""What the command line requests of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bulk_upload.cli.output.run_log import LogRequest
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.core.text.printable import printable
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk_upload.cli.output.notify import Target
    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.events import Event
    from bulk_upload.core.fleet.settings import FleetSettings
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.run.job import Job
    from bulk_upload.core.run.settings import RunSettings
    from bulk_upload.engine.folder.listing import FolderListing


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line requests.

    `command` is what a person types to run the same job again, and `named` how the manifest or folder is called in it;
    `listing` has the entries of a folder's job; `listeners` are called with every event after the
    display; `validate_command` returns the command that shows the errors in the data, None where there is none, and
    `schema_file` is the one of its own purposes; `settings_from` names the file that settings came from; `log` has the options of the log.
    """

    job: Job
    named: str | None = None
    listing: FolderListing | None = None
    connection: Connection
    api_key: str | Callable[[], str]
    settings: RunSettings
    fleet: FleetSettings | None = None
    purposes: Mapping[str, Purpose] = msgspec.field(default_factory=lambda: PURPOSES)
    results: str | None
    metrics: str | None = None
    live: bool
    command: str
    listeners: tuple[Callable[[Event], None], ...] = ()
    settings_from: str | None = None
    log: LogRequest = msgspec.field(default_factory=LogRequest)
    notify: Target | None = None
    bell: bool = False
    serve: tuple[str, int] | None = None
    page_controls: bool = False
    validate_command: Callable[[], str | None] = lambda: None
    schema_file: str | None = None

    def says_goodbye(self, status: ExitStatus) -> bool:
        """Whether to print a summary for people."""
        return not self.log.replaces_words and (not self.log.quiet or status is not ExitStatus.DONE)

    def __repr__(self) -> str:
        return f"RunRequest({printable(self.job.manifest)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Leave out the key."""
        return [("manifest", printable(self.job.manifest))]
