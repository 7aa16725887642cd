"""How an endpoint accepts uploads: method, path, field names, credentials, form of its answers."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.purposes import PURPOSES

if TYPE_CHECKING:
    from collections.abc import Iterable


class Answered5xx(StrEnum):
    """What an answered 5xx means for a complete upload, where no list can tell."""

    IN_DOUBT = "in-doubt"
    NOT_STORED = "not-stored"


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The contract of one kind of Files API.

    `files_path` answers uploads (`method`) and, when `can_list`, lists with GET. `keeps_names` says that a
    listed `filename` is the name that was sent: without it a list cannot resolve entries in doubt. `id_field` says
    where an answer has the file's id: `id`, or behind dots `file.id`, the `id` in the object `file`, which then
    describes the file. Lists hold such objects in `data`. `can_read_back` says that GET with `content_path` after a file's
    own path returns what was sent: a listed file is then compared before it is adopted.

    `answered_5xx` is what the server is known to have done with an upload that it answers with a 5xx; it counts only where
    no list can tell.

    `key_variable`, `base_url_variable` and `team_variable` name the environment variables that hold this profile's key,
    address and team; they are names only, which the command line looks up, and no other profile's are.
    """

    name: str
    base_url: str
    method: str
    files_path: str
    file_field: str
    purpose_field: str
    auth_header: str
    auth_prefix: str
    team_header: str | None
    purposes: tuple[str, ...]
    can_list: bool
    keeps_names: bool
    list_page: int
    size_limit_bytes: int | None = None
    id_field: str = "id"
    can_read_back: bool = True
    content_path: str = "/content"
    answered_5xx: Answered5xx = Answered5xx.IN_DOUBT
    key_variable: str | None = None
    base_url_variable: str | None = None
    team_variable: str | None = None

    @property
    def list_decides(self) -> bool:
        """Whether the server's list can settle doubts: there is one, and it shows the names that were sent."""
        return self.can_list and self.keeps_names


FLOW = Profile(
    name="flow",
    base_url="https://flow.seekr.com",
    method="PUT",
    files_path="/v1/flow/files",
    file_field="files",
    purpose_field="purpose",
    # "Seekr API Key without 'Bearer' Prefix": docs.seekr.com/flow/reference/file_upload_v1_flow_files_put
    auth_header="Authorization",
    auth_prefix="",
    team_header="x-team-id",
    purposes=tuple(PURPOSES),
    can_list=True,
    keeps_names=True,
    list_page=100,
    # "up to 4 GB each": docs.seekr.com/flow/sdk/data-engine/file-ingestion. Whether GB means 10^9 or 2^30 is not
    # documented, so it only warns.
    size_limit_bytes=4 * 10**9,
    # The same as in the vendor's SDK.
    key_variable="SEEKR_API_KEY",
    base_url_variable="SEEKR_BASE_URL",
    team_variable="SEEKR_TEAM_ID",
)
"""The Files API of Seekr Flow."""

PROFILES = {FLOW.name: FLOW}


def variable_flaw(profile: Profile, others: Iterable[Profile]) -> tuple[str, str] | None:
    """Return which key of a custom profile names a variable it may not use, and why; None where all are valid.

    A built-in profile's variables are its own. A key's variable has no other use: addresses and teams are printed.
    """
    named = {
        "key-variable": profile.key_variable,
        "base-url-variable": profile.base_url_variable,
        "team-variable": profile.team_variable,
    }
    for key, variable in named.items():
        if variable is None:
            continue
        for one in PROFILES.values():
            if variable in (one.key_variable, one.base_url_variable, one.team_variable):
                return key, f"{variable} belongs to the profile {one.name}"
        for one in (profile, *others):
            if key != "key-variable" and variable == one.key_variable:
                return key, f"{variable} holds the key of the profile {one.name}"
    return None


def variable_for_key(name: str) -> str:
    """Return a valid name for the variable with a profile's key, as a suggestion."""
    variable = f"{name.upper().replace('-', '_')}_API_KEY"
    return f"_{variable}" if variable[0].isdigit() else variable
