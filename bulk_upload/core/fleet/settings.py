"""Where the agents of a run come from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec

# ruff: noqa: TC001, TC003 - `inspect.signature` evaluates the annotations of a Struct.
from bulk_upload.core.fleet.messages import AgentJob, NewKey
from bulk_upload.core.fleet.session import TTL_S


class FleetAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where agents connect to. `issue_ticket` returns what admits one of them, once, within a minute.

    `key_variable` names the variable in which they look for an API key of their own, None where the run gives them its
    key. `note` tells a person about one that could not be started.
    """

    url: str
    issue_ticket: Callable[[], str]
    key_variable: str | None
    note: Callable[[str], None]


class FleetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The agents of a run; a run without this sends by itself.

    Args:
        processes: how many processes of this machine send. This one is the first of them; the others are agents that it
            starts. 0 where only agents elsewhere send.
        processes_for: returns how many do, given how many bytes there are to send. Takes the place of `processes`.
        listen: host and port for agents elsewhere; port 0 is any free one.
        token: what agents elsewhere present; by default a new one for each run.
        certificate: PEM file of the certificate for `listen`, with its key unless `certificate_key` names that file.
        certificate_key: see above.
        tls: takes the place of both: the `ssl.SSLContext` of a server.
        agent_root: where the files lie on the agents' machines, if elsewhere than here.
        ttl_s: how long an agent lives without a sign of life, in seconds.
        recruit: starts agents elsewhere, given where to connect to; left when the run is over.
        on_listening: called with the address for agents elsewhere.
    """

    processes: int = 0
    processes_for: Callable[[int], int] | None = None
    listen: tuple[str, int] | None = None
    token: str | None = None
    certificate: str | None = None
    certificate_key: str | None = None
    tls: Any = None
    agent_root: str | None = None
    ttl_s: float = TTL_S
    recruit: Callable[[FleetAddress], AbstractAsyncContextManager[None]] | None = None
    on_listening: Callable[[str], None] | None = None


class Fleet(Protocol):
    """Brings the agents of a run, such as `bulk_upload.dask.DaskFleet`."""

    def settings(self) -> FleetSettings:
        """Return where they come from."""


class RunKey(Protocol):
    """The API key of a run, which may be rotated while it goes on: each one has a number."""

    @property
    def number(self) -> int:
        """The number of the current one."""

    def reveal(self) -> str:
        """Return the current one."""

    def ask(self, refused_number: int, answer: Callable[[NewKey], None]) -> None:
        """Have `answer` called with the key that takes the place of one that was refused."""

    def worked(self, number: int) -> None:
        """Record that the server accepted the key with this number."""


class FleetParts(msgspec.Struct, frozen=True, kw_only=True):
    """What a run must know of its agents: what they are told, the API key, the token that opens their next connections,
    and how many are about to join. `sends_itself` says that this process is one of those that send.
    """

    job: AgentJob
    key: Any
    """A RunKey."""
    token: str
    ttl_s: float
    expected_count: int = 0
    sends_itself: bool = False
