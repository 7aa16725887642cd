"""How an endpoint wants an upload: method, path, field names, credentials, what its answers look like."""

from __future__ import annotations

from dataclasses import dataclass

from bulk_upload.core.purposes import PURPOSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The contract of one kind of Files API.

    `files_path` answers uploads (`method`) and, when `can_list`, lists with GET. `keeps_names` says that a
    listed `filename` is the name that was sent: without it a list cannot decide what is in doubt. `id_field` says
    where an answer has the file's id: `id`, or behind dots `file.id`, the `id` in the object `file`, which then
    describes the file. Lists hold such objects in `data`.
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
    # "up to 4 GB each": docs.seekr.com/flow/sdk/data-engine/file-ingestion. Whether that is 10^9 or 2^30 is not
    # said, so it only warns.
    size_limit_bytes=4 * 10**9,
)

PROFILES = {FLOW.name: FLOW}
