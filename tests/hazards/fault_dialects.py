"""How the server of each built-in profile writes its answers, so that every kind of fault strikes in its dialect."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bulk_upload.core.api.profile import FLOW, Paging, Profile
from bulk_upload.core.text.timestamps import utc_seconds
from bulk_upload.edge.profiles import BUILT_IN

PAGE_MAX = 100
"""More files are never in one page, whatever is asked for."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What a server does as its profile says. `unix_times` are whole seconds."""

    profile: Profile
    unix_times: bool = True

    @property
    def upload_path(self) -> str:
        """Where uploads go."""
        return self.profile.upload_path or self.profile.files_path

    @property
    def purpose(self) -> str:
        """A purpose that manifests may name."""
        return "fine-tune" if "fine-tune" in self.profile.purposes else self.profile.purposes[0]

    @property
    def sent_purpose(self) -> str | None:
        """What of it is in the form."""
        return None if self.profile.purpose_field is None else self.purpose

    def is_list(self, method: str, target: str) -> bool:
        """Whether a request asks for the list."""
        return method == "GET" and urlsplit(target).path == self.profile.files_path

    def response(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is said of a file: `id`, `filename`, `bytes`, `purpose` and `created_at` in ISO 8601."""
        said = {"object": "file", **values}
        if self.unix_times and isinstance(said["created_at"], str):
            said["created_at"] = int(utc_seconds(said["created_at"]) or 0)
        if self.profile.size_field is not None:
            said[self.profile.size_field] = said.pop("bytes")
        if self.profile.purpose_field is None:
            del said["purpose"]
        return said

    def place(self, target: str, shown: Mapping[str, int]) -> tuple[int, int]:
        """Return the limit and the offset that a request for a page means; `shown` has the places of files by id."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        match self.profile.paging:
            case Paging.OFFSET:
                return int(query["limit"]), int(query["offset"])
            case Paging.AFTER:
                after = query.get("after")
                return min(PAGE_MAX, int(query["limit"])), 0 if after is None else shown[after] + 1
            case Paging.NEXT_PAGE:
                return min(PAGE_MAX, int(query["limit"])), int(query.get("page", 0))
            case Paging.PAGE:
                size = min(PAGE_MAX, int(query["page_size"]))
                return size, size * (int(query["page"]) - self.profile.first_page)
            case Paging.NONE:
                return 10**6, 0

    def page(self, files: Sequence[Any], *, limit: int, offset: int) -> bytes:
        """Return the body of a page with these files."""
        said: dict[str, Any] = {"object": "list", "data": list(files)}
        if self.profile.paging is Paging.NEXT_PAGE:
            said["next_page"] = str(offset + len(files)) if len(files) >= limit else None
        return json.dumps(said).encode()


FLOW_DIALECT = Dialect(profile=FLOW, unix_times=False)
DIALECTS = {
    name: Dialect(profile=profile, unix_times=name not in ("flow", "anthropic"))
    for name, profile in BUILT_IN.items()
}


def iso(moment: datetime) -> str:
    """Return a moment as a server with ISO times writes it."""
    return moment.isoformat().replace("+00:00", "Z")
