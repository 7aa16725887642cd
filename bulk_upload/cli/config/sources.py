"""The tables [sources."s3://BUCKET"] of bulk-upload.toml: how stores of objects are reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bulk_upload.core.objects.address import SCHEMES, WEB, scheme_of
from bulk_upload.core.objects.options import SourceOptions, plain_endpoint
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.wording import did_you_mean
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXTS = {"endpoint": "endpoint", "region": "region", "account": "account"}
FLAGS = {"anonymous": "anonymous", "requester-pays": "requester_pays"}
VARIABLES = {
    "access-key-variable": "access_key_id",
    "secret-key-variable": "secret_access_key",
    "session-token-variable": "session_token",
    "token-variable": "bearer_token",
}
"""Keys that name an environment variable, and what its value is for: no secret is in the file."""

KEYS = (*TEXTS, *FLAGS, *VARIABLES)


class SourceFlaw(ValueError):
    """What is wrong with a table; `key` is where, None for its name."""

    def __init__(self, key: str | None, found: str, remedy: str) -> None:
        super().__init__(found)
        self.key = key
        self.remedy = remedy


def check_source(home: str, table: Mapping[str, Any]) -> None:
    """Raise SourceFlaw for a table that cannot be used. No variable is read."""
    _check_home(home)
    for key, value in table.items():
        if key not in KEYS:
            raise SourceFlaw(
                key, f"unknown setting {key!r}", f"{did_you_mean(key, KEYS)}Settings: {', '.join(KEYS)}"
            )
        if key in FLAGS and not isinstance(value, bool):
            raise SourceFlaw(key, f"{key} must be true or false", f"write {key} = true")
        if key not in FLAGS and (not isinstance(value, str) or not value.strip()):
            raise SourceFlaw(key, f"{key} must be a string", f'write {key} = "..."')
    endpoint = table.get("endpoint")
    if endpoint is not None:
        _check_endpoint(str(endpoint))


def source_options(home: str, table: Mapping[str, Any], environment: Mapping[str, str]) -> SourceOptions:
    """Return the settings of a checked table. Raises UsageError for a variable that is not set."""
    found: dict[str, Any] = {
        name: table[key] for key, name in (*TEXTS.items(), *FLAGS.items()) if key in table
    }
    for key, name in VARIABLES.items():
        if key not in table:
            continue
        secret = environment.get(table[key], "").strip()
        if not secret:
            raise UsageError(
                f'[sources."{printable(home)}"] says that {key} is {printable(table[key])}, which is not set',
                hint=f"export {printable(table[key])}, or remove the line to use the store's usual places",
            )
        found[name] = secret
    return SourceOptions(home=home, **found)


def endpoint_here(environment: Mapping[str, str]) -> SourceOptions | None:
    """Return the options of a store on this machine that the environment names, such as a sandbox's, None without one.

    Its bytes never leave the machine, so that it needs no encryption and no permission to do without. The names are
    those that obstore reads, and their order is its own.
    """
    for name in ("AWS_ENDPOINT", "AWS_ENDPOINT_URL"):
        options = SourceOptions(home="s3://", endpoint=environment.get(name, "").strip() or None)
        if options.endpoint is not None and options.endpoint.lower().startswith("http://"):
            return None if plain_endpoint(options) else options
    return None


def _check_home(home: str) -> None:
    scheme = scheme_of(home)
    if scheme not in SCHEMES:
        known = ", ".join(f'"{one}://NAME"' for one in SCHEMES)
        raise SourceFlaw(None, f"{home!r} is no place of objects", f"name the table after one: {known}")
    rest = home[len(scheme) + 3 :].removesuffix("/")
    if "/" in rest or "@" in rest or "?" in rest:
        what = "host" if scheme in WEB else "bucket"
        raise SourceFlaw(
            None, f"the table of {scheme}:// has more than a {what} in its name", f'write "{scheme}://NAME"'
        )


def _check_endpoint(endpoint: str) -> None:
    try:
        parts = urlsplit(endpoint)
        is_usable = (
            parts.scheme in WEB and bool(parts.hostname) and "@" not in parts.netloc and not parts.query
        )
    except ValueError:
        is_usable = False
    if not is_usable:
        raise SourceFlaw(
            "endpoint",
            "endpoint is no address without user name and query",
            'write endpoint = "https://HOST"',
        )
