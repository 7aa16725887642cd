"""How an endpoint accepts uploads: method, path, field names, credentials, form of its answers.

A profile is data: where servers behave differently, it names one of a few known ways.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.purposes import PURPOSES

if TYPE_CHECKING:
    from collections.abc import Iterable

Pairs = tuple[tuple[str, str], ...]
"""Names and values, in order."""


class Paging(StrEnum):
    """How a list is asked for page by page.

    `offset`: `limit` and `offset`, with `sort_by` and `sort_order`. `after`: `limit`, `order` and the id of the file before.
    `next-page`: `limit`, and as `page` what the answer before called `next_page`. `page`: `page_size` and the number of the
    `page`. `none`: one answer has all files.
    """

    OFFSET = "offset"
    AFTER = "after"
    NEXT_PAGE = "next-page"
    PAGE = "page"
    NONE = "none"


class Complete(StrEnum):
    """What proves that a file is not at the server: a `walk` through the whole list, only a list that came in `one-page`
    (cursors may skip files), or `never` a list."""

    WALK = "walk"
    ONE_PAGE = "one-page"
    NEVER = "never"


class NameAlphabet(StrEnum):
    """Which names a server keeps: `any`, or `portable` ones of letters, digits, dots, dashes and underscores, without a
    leading dot and without two dots in a row."""

    ANY = "any"
    PORTABLE = "portable"


class Answered5xx(StrEnum):
    """What an answered 5xx means for a complete upload, where no list can tell."""

    IN_DOUBT = "in-doubt"
    NOT_STORED = "not-stored"


class UploadBodyKind(StrEnum):
    """What an upload's body is: a `form`, or `raw`, the file's bytes alone. What the form would tell are then parameters of
    the address."""

    FORM = "form"
    RAW = "raw"


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The contract of one kind of Files API.

    *Requests.* Uploads go to `upload_path` (by default `files_path`) with `method`, in a form with `file_field`,
    `purpose_field` (None: it has none) and the fixed fields of `form`; an entry's own field replaces a fixed one. With a
    `raw` `body` these are parameters of the address, `file_field` the one with the file's name. `headers`
    and `query` go with every request. `files_path` lists with GET when `can_list`; a file is looked up, read and deleted
    below it.

    *Answers.* `id_field` says where an answer has the file's id: `id`, or behind dots `file.id`, the `id` in the object
    `file`, which then describes the file. Lists hold such objects in `data`. `name_field` and `size_field` are in the same
    object; without the latter `bytes` or `size_bytes` is. Ids begin with `id_prefix`, which is not repeated in addresses.

    *The list.* `paging` is how it is asked for, at most `list_page` files at once, pages counted from `first_page`.
    `newest_first` says that its order is that of `created_at`, the newest file first: it is then read no further than
    needed. `complete` says what proves that a file is not there. `keeps_names` says that a listed name is the name that
    was sent: without it a list cannot resolve entries in doubt. `name_alphabet` are the names that the server keeps, and
    the only ones that are sent.

    *Contents.* `can_read_back` says that GET with `content_path` after a file's own path returns what was sent, for all
    purposes or for those it names: a listed file is then compared before it is adopted.

    *Refusals.* `conflict` says what a 409 means: `reject` the file, `retry` it, or `adopt:FIELD`, the file with the id in that
    field is there already. An error with one of `final_codes` is about the account and ends the run. `answered_5xx` is what the server is known to have done with an upload that it answers with a 5xx; it counts
    only where no list can tell.

    *Bundles.* `bulk_path` takes several files in one form, each in a field `bulk_field` (by default `file_field`), at most
    `bulk_max`, and answers with a list of what an upload's answer has. Only where the list settles every doubt: one lost
    answer leaves all of them in doubt.

    `key_variable`, `base_url_variable` and `team_variable` name the environment variables that hold this profile's key,
    address and team; they are names only, which the command line looks up, and no other profile's are.
    """

    name: str
    base_url: str
    method: str
    files_path: str
    upload_path: str | None = None
    body: UploadBodyKind = UploadBodyKind.FORM
    file_field: str
    purpose_field: str | None
    form: Pairs = ()
    headers: Pairs = ()
    query: Pairs = ()
    auth_header: str
    auth_prefix: str
    team_header: str | None
    purposes: tuple[str, ...]
    can_list: bool
    paging: Paging = Paging.OFFSET
    first_page: int = 0
    newest_first: bool = True
    complete: Complete = Complete.WALK
    keeps_names: bool
    name_alphabet: NameAlphabet = NameAlphabet.ANY
    list_page: int
    size_limit_bytes: int | None = None
    id_field: str = "id"
    id_prefix: str = ""
    name_field: str = "filename"
    size_field: str | None = None
    can_read_back: bool | tuple[str, ...] = True
    content_path: str = "/content"
    conflict: str = "reject"
    final_codes: tuple[str, ...] = ()
    answered_5xx: Answered5xx = Answered5xx.IN_DOUBT
    bulk_path: str | None = None
    bulk_field: str | None = None
    bulk_max: int | None = None
    key_variable: str | None = None
    base_url_variable: str | None = None
    team_variable: str | None = None

    @property
    def list_decides(self) -> bool:
        """Whether the server's list can settle doubts: there is one, and it shows the names that were sent."""
        return self.can_list and self.keeps_names

    @property
    def list_shows_absence(self) -> bool:
        """Whether the list shows, however long it is, that a file is not there: then a doubt needs no person."""
        return self.list_decides and self.complete is Complete.WALK

    @property
    def takes_bundles(self) -> bool:
        """Whether several files may go in one request: there is a call for it, and no answer that is lost needs a person."""
        return self.bulk_path is not None and self.list_shows_absence

    @property
    def listed_purpose(self) -> str | None:
        """The purpose of every file, where the API knows none."""
        return self.purposes[0] if self.purpose_field is None else None

    @property
    def adopts_from(self) -> str | None:
        """Where a 409 names the file that is there already, None where it does not."""
        return self.conflict.removeprefix("adopt:") if self.conflict.startswith("adopt:") else None

    def reads_back(self, purpose: str) -> bool:
        """Whether the server returns the content of files with a purpose."""
        return self.can_read_back if isinstance(self.can_read_back, bool) else purpose in self.can_read_back


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
    # docs.seekr.com/flow/reference/bulk_file_upload_v1_flow_bulk_files_put; its limits are not documented.
    bulk_path="/v1/flow/bulk_files",
    bulk_field="files",
    # The same as in the vendor's SDK.
    key_variable="SEEKR_API_KEY",
    base_url_variable="SEEKR_BASE_URL",
    team_variable="SEEKR_TEAM_ID",
)
"""The Files API of Seekr Flow."""

BUILT_IN_NAMES = (
    "flow",
    "openai",
    "azure",
    "groq",
    "xai",
    "llama-stack",
    "litellm",
    "mistral",
    "anthropic",
)
"""The profiles that come with the package, a file each in `edge/profiles`. A person's own profile may have such a name, but for
`flow`, and is then taken instead: files and ledgers from before there was a built-in one go on."""


def variable_flaw(profile: Profile, others: Iterable[Profile]) -> tuple[str, str] | None:
    """Return which key of a custom profile names a variable it may not use, and why; None where all are valid.

    The variables of `flow` are its own: no profile gets them by a mistake. A key's variable has no other use: addresses and
    teams are printed.
    """
    named = {
        "key-variable": profile.key_variable,
        "base-url-variable": profile.base_url_variable,
        "team-variable": profile.team_variable,
    }
    for key, variable in named.items():
        if variable is None:
            continue
        if variable in (FLOW.key_variable, FLOW.base_url_variable, FLOW.team_variable):
            return key, f"{variable} belongs to the profile {FLOW.name}"
        for one in (profile, *others):
            if key != "key-variable" and variable == one.key_variable:
                return key, f"{variable} holds the key of the profile {one.name}"
    return None


def variable_for_key(name: str) -> str:
    """Return a valid name for the variable with a profile's key, as a suggestion."""
    variable = f"{name.upper().replace('-', '_')}_API_KEY"
    return f"_{variable}" if variable[0].isdigit() else variable
