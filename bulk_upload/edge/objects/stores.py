"""Opens the stores of a job, one for each bucket or host. obstore is imported when the first one is needed."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from bulk_upload.core.objects.address import STORES, is_plain_to_elsewhere
from bulk_upload.core.objects.options import options_for, plain_endpoint
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from obstore.store import ClientConfig, ObjectStore, RetryConfig

    from bulk_upload.core.objects.address import Address
    from bulk_upload.core.objects.options import SourceOptions

RETRIES_MAX = 5
"""How often obstore repeats a request within one read: a store asks clients to slow down by refusing a few requests."""

_READ_FOR = timedelta(days=30)
"""obstore limits how long one answer takes in all, 30 s by default: an upload may read for hours, and its own limit is
for a store that stands still."""


class _Use(Enum):
    """What a store is opened for."""

    READ = auto()
    READ_ONCE = auto()
    ASK = auto()


class Stores:
    """The stores of a job.

    Args:
        options: how stores are reached where their usual places do not say so.
        allow_plain_http: stores of other machines may be reached without encryption.
        stall_s: how long a store may take to answer a question.
    """

    def __init__(
        self, options: Sequence[SourceOptions] = (), *, allow_plain_http: bool = False, stall_s: float = 60.0
    ) -> None:
        self._options = tuple(options)
        self._allow_plain_http = allow_plain_http
        self._stall_s = stall_s
        self._opened: dict[tuple[str, _Use], ObjectStore] = {}

    @property
    def stall_s(self) -> float:
        """How long a store may stand still."""
        return self._stall_s

    @property
    def allow_plain_http(self) -> bool:
        """Whether data may come from other machines without encryption."""
        return self._allow_plain_http

    def options_of(self, address: Address) -> SourceOptions:
        """Return how the place of an object is reached. Raises UsageError where that is without encryption."""
        options = options_for(address.base, self._options)
        if plain_endpoint(options) and not self._allow_plain_http:
            raise UsageError(
                f"the endpoint of {address.base} is another machine that is reached without encryption",
                hint="use an https:// endpoint, or pass --allow-plain-http for a network that you trust",
            )
        return options

    def of(self, address: Address, *, resumes: bool = True) -> ObjectStore:
        """Return the store of an object that is read.

        obstore goes on with a broken answer where it ended. That is safe only with the entity tag of the first part:
        without `resumes` nothing is asked twice.

        Raises UsageError: obstore is not installed, or the settings of the store cannot be used.
        """
        return self._store(address, _Use.READ if resumes else _Use.READ_ONCE)

    def asked(self, address: Address) -> ObjectStore:
        """Return the store of objects that are listed or looked at: each answer comes in the time that it may stand
        still. Raises as `of`."""
        return self._store(address, _Use.ASK)

    def _store(self, address: Address, use: _Use) -> ObjectStore:
        key = (address.base, use)
        if key not in self._opened:
            self._opened[key] = self._open(address, use)
        return self._opened[key]

    def _open(self, address: Address, use: _Use) -> ObjectStore:
        try:
            from obstore import store  # noqa: PLC0415 - an extra, and only for objects
            from obstore.exceptions import BaseError  # noqa: PLC0415 - as above
        except ImportError:
            raise UsageError(
                f'to read from "{address.scheme}://" the package obstore is needed',
                hint="pip install 'bulk-upload[remote]'",
            ) from None
        options = self.options_of(address)
        retries: RetryConfig = {
            "max_retries": 0 if use is _Use.READ_ONCE else RETRIES_MAX,
            "retry_timeout": timedelta(seconds=self._stall_s),
        }
        client = self._client(address, options, use)
        try:
            if address.scheme not in STORES:
                return store.HTTPStore(address.base, client_options=client, retry_config=retries)
            return store.from_url(
                address.base, config=_config(options), client_options=client, retry_config=retries
            )
        except BaseError as error:
            raise UsageError(
                f"{address.base} cannot be used as it is set up: {str(error).partition(chr(10))[0]}",
                hint=f'correct [sources."{address.base}"] in bulk-upload.toml, or the variables of the store',
            ) from None

    def _client(self, address: Address, options: SourceOptions, use: _Use) -> ClientConfig:
        client: ClientConfig = {
            "timeout": timedelta(seconds=self._stall_s) if use is _Use.ASK else _READ_FOR,
            "connect_timeout": timedelta(seconds=min(10.0, self._stall_s)),
            # Whatever the store's own variables say: an endpoint in them is as plain as one in our settings.
            "allow_http": self._allow_plain_http
            or (options.endpoint is not None and options.endpoint.lower().startswith("http://"))
            or (address.scheme == "http" and not is_plain_to_elsewhere(address.scheme, address.home)),
        }
        if options.bearer_token is not None:
            client["default_headers"] = {"authorization": f"Bearer {options.bearer_token}"}
        return client


def _config(options: SourceOptions) -> Any:  # noqa: ANN401 - a dictionary of one of three types
    """Return what obstore calls the settings of a store."""
    scheme = options.home.partition("://")[0].lower()
    if scheme == "az":
        named: dict[str, object] = {
            "account_name": options.account,
            "account_key": options.access_key_id,
            "endpoint": options.endpoint,
            "skip_signature": options.anonymous or None,
        }
    elif scheme == "gs":
        named = {"skip_signature": options.anonymous or None}
    else:
        named = {
            "access_key_id": options.access_key_id,
            "secret_access_key": options.secret_access_key,
            "session_token": options.session_token,
            "region": options.region,
            "endpoint": options.endpoint,
            "skip_signature": options.anonymous or None,
            "request_payer": options.requester_pays or None,
        }
    return {name: value for name, value in named.items() if value is not None}
