"""How a store of objects is reached, where its usual places do not say so."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - msgspec evaluates the annotations
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from bulk_upload.core.objects.address import is_plain_to_elsewhere
from bulk_upload.core.objects.hub import HUB, without_revision

if TYPE_CHECKING:
    from collections.abc import Iterable


class SourceOptions(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """The settings of a bucket, a container, a host or a repository, or of all places of a scheme.

    Without them a store is reached as its usual places say: the environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`), or the
    identity of the machine. No secret is ever shown, logged or recorded.

    Args:
        home: what they are for: `s3://BUCKET`, or `s3://` for all. The longer one applies.
        endpoint: the address of a store that speaks S3, of an emulator of another one, or of a Hugging Face Hub.
        region: of the bucket.
        account: of an Azure container.
        anonymous: requests are not signed: for public buckets.
        requester_pays: the requests are paid by who makes them.
        access_key_id: of S3; for Azure the key of the account.
        secret_access_key: of S3.
        session_token: of S3, for credentials that expire.
        bearer_token: sent to a web server or to a Hub as `Authorization: Bearer`, never to where a Hub sends on to.
        proxy: through which a Hub is reached, `http://HOST:PORT`.
        token_file: a file with the token of a Hub, read when it is first needed; it may be missing.
        username: of a filesystem.
        password: of a filesystem.
        known_hosts: a file with the keys of hosts of SFTP, as `ssh` writes it; others are not connected to.
        settings: what else the filesystem takes, by the names that fsspec has for it; no secrets.
    """

    home: str
    endpoint: str | None = None
    region: str | None = None
    account: str | None = None
    anonymous: bool = False
    requester_pays: bool = False
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    bearer_token: str | None = None
    proxy: str | None = None
    token_file: str | None = None
    username: str | None = None
    password: str | None = None
    known_hosts: str | None = None
    settings: Mapping[str, str | int | float | bool] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        return f"SourceOptions(home={self.home!r}, endpoint={self.endpoint!r}, region={self.region!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Leave out what is secret."""
        return [("home", self.home), ("endpoint", self.endpoint), ("region", self.region)]


def without_secrets(options: SourceOptions) -> SourceOptions:
    """Return what others may read: who uses it needs credentials of its own."""
    return replace(
        options,
        access_key_id=None,
        secret_access_key=None,
        session_token=None,
        bearer_token=None,
        # It may have a password.
        proxy=None,
        password=None,
    )


def options_for(base: str, options: Iterable[SourceOptions]) -> SourceOptions:
    """Return the options of a bucket or host, given as `s3://BUCKET`: its own, else those of its scheme, else none."""
    by_home = {one.home.rstrip("/").lower(): one for one in options}
    scheme = base.partition("://")[0]
    if scheme == HUB:
        base = without_revision(base)
    return by_home.get(base.lower()) or by_home.get(f"{scheme}:") or SourceOptions(home=base)


def plain_endpoint(options: SourceOptions) -> bool:
    """Whether an endpoint is another machine that is reached without encryption."""
    if options.endpoint is None:
        return False
    scheme, _, rest = options.endpoint.partition("://")
    return is_plain_to_elsewhere(scheme.lower(), rest.partition("/")[0])
