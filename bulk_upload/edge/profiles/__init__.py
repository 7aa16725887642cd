"""The built-in profiles: one TOML file each in this folder, as a person would write it, with what is proven of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.api.profile import BUILT_IN_NAMES, FLOW, Profile
from bulk_upload.core.report.proof import Proof
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.wording import did_you_mean
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROOF_TABLE = "\n[proof]\n"


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """A built-in profile, what it is for, what is proven of it, and its text as a person would write it in
    `[profiles.NAME]`."""

    profile: Profile
    summary: str
    proof: Proof
    text: str


class BuiltInProfiles(Mapping[str, Profile]):
    """The built-in profiles by name. Files are read when they are asked for."""

    def __getitem__(self, name: str) -> Profile:
        """Return a profile. Raises KeyError."""
        if name == FLOW.name:
            return FLOW
        return preset(name).profile

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(BUILT_IN_NAMES)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(BUILT_IN_NAMES)


BUILT_IN = BuiltInProfiles()


def built_in_profile(name: str) -> Profile:
    """Return a built-in profile by its name, such as "openai". Raises UsageError for an unknown one."""
    if name not in BUILT_IN:
        raise UsageError(
            f"there is no built-in profile {printable(name)!r}",
            hint=f"{did_you_mean(name, BUILT_IN_NAMES)}Built in: {', '.join(BUILT_IN_NAMES)}",
        )
    return BUILT_IN[name]


@lru_cache
def preset(name: str) -> Preset:
    """Return a built-in profile with what is known of it. Raises KeyError for an unknown name."""
    if name not in BUILT_IN_NAMES:
        raise KeyError(name)
    # Most commands need no other profile than Flow's.
    import tomllib  # noqa: PLC0415
    from importlib import resources  # noqa: PLC0415

    from bulk_upload.core.api.profile_table import profile_of  # noqa: PLC0415

    text = resources.files(__package__).joinpath(f"{name}.toml").read_text("utf-8")
    described, _, _ = text.partition(_PROOF_TABLE)
    heading, _, body = described.partition("\n\n")
    tables = tomllib.loads(text)
    proof = msgspec.convert(tables.pop("proof"), Proof)
    # Its own name is taken only here: nobody else may have it.
    profile = profile_of(name, tables, built_in=())
    return Preset(
        profile=profile, summary=heading.removeprefix("# ").strip(), proof=proof, text=f"{body.strip()}\n"
    )
