"""What is proven of a profile, and how."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Evidence(StrEnum):
    """How it is known that something works: the vendor's own SDK works with the same dialect, our client worked with a
    server that was written by others, or only a description says so. `unproven live` is from examples that contradict each
    other or say little. `no` is what the API or the profile does not do."""

    SDK = "vendor's SDK"
    SERVER = "real server"
    DESCRIPTION = "description"
    UNPROVEN = "unproven live"
    NO = "no"


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is proven of each thing that a profile is for: uploads, lists, the settling of doubts by the list, `verify`, its
    `--content`, and `undo`."""

    upload: Evidence
    list: Evidence
    settle: Evidence
    verify: Evidence
    content: Evidence
    undo: Evidence
