"""The addresses of an API at one endpoint, with the parameters that every request has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yarl import URL

if TYPE_CHECKING:
    from bulk_upload.core.api.profile import Profile


def upload_url(endpoint: str, profile: Profile) -> URL:
    """Return where files are sent to."""
    return _url(endpoint, profile.upload_path or profile.files_path, profile)


def bulk_url(endpoint: str, profile: Profile) -> URL:
    """Return where several files in one request are sent to."""
    if profile.bulk_path is None:
        raise ValueError(f"the profile {profile.name} takes one file a request")
    return _url(endpoint, profile.bulk_path, profile)


def list_url(endpoint: str, profile: Profile) -> URL:
    """Return where files are listed."""
    return _url(endpoint, profile.files_path, profile)


def file_url(endpoint: str, profile: Profile, file_id: str, beneath: str = "") -> URL:
    """Return where a file is looked up and deleted, or what is at a path beneath it. The id can be part of an address."""
    plain = file_id.removeprefix(profile.id_prefix)
    return _url(endpoint, f"{profile.files_path}/{plain}{beneath}", profile)


def _url(endpoint: str, path: str, profile: Profile) -> URL:
    return URL(endpoint + path, encoded=True).with_query(dict(profile.query) or None)
