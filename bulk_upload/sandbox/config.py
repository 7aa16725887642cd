"""What a sandbox is started with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulk_upload.sandbox.dialects.named import dialect_named
from bulk_upload.sandbox.faults import Faults
from bulk_upload.sandbox.listener import check_address

if TYPE_CHECKING:
    from bulk_upload.sandbox.dialects.dialect import Habit


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """What a sandbox is started with.

    Args:
        host: 127.0.0.1 or ::1; a sandbox takes files from anybody who can reach it, so nothing else is allowed.
        port: 0 takes a free one.
        directory: where the bytes of uploaded files go, named by file id; None keeps only size and SHA-256, so
            that memory and disk stay flat however large the files are.
        memory_bytes: without a directory, contents are kept in memory as long as they fit in so many bytes together.
        journal_path: a file that gets every journal record as one line of JSON, appended.
        keys: the accepted API keys; empty accepts any key that is not empty.
        purposes: the accepted values of the form field `purpose`; None for those of the profile.
        profile: whose Files API is spoken: flow, openai, azure, groq, xai, llama-stack, litellm, mistral, anthropic.
        habits: what servers do beside their description, in addition to what the profile's servers do in any case.
        faults: what goes wrong on purpose.

    Raises:
        UsageError: a host that is not loopback, a port that cannot be, or an unknown profile.
    """

    host: str = "127.0.0.1"
    port: int = 0
    directory: str | None = None
    memory_bytes: int = 0
    journal_path: str | None = None
    # Keys stay out of `repr`: a rehearsal may well be run with the real one.
    keys: tuple[str, ...] = field(default=(), repr=False)
    purposes: tuple[str, ...] | None = None
    profile: str = "flow"
    habits: tuple[Habit, ...] = ()
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        check_address(self.host, self.port)
        dialect_named(self.profile)
