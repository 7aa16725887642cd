"""The tables [sources."s3://BUCKET"] of bulk-upload.toml: how stores of objects are reached."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from bulk_upload.core.objects.address import NAMED_SCHEMES, SCHEMES, STORES, WEB, scheme_of
from bulk_upload.core.objects.hub import HUB, HUB_ENDPOINT, HubFlaw, hub_home_of
from bulk_upload.core.objects.options import SourceOptions, plain_endpoint
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.wording import did_you_mean
from bulk_upload.errors import UsageError
from bulk_upload.library.environment import proxy_of_environment, usable_proxy

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXTS = {"endpoint": "endpoint", "region": "region", "account": "account", "username": "username"}
FILES = {"token-file": "token_file", "known-hosts": "known_hosts"}
FLAGS = {"anonymous": "anonymous", "requester-pays": "requester_pays"}
VARIABLES = {
    "access-key-variable": "access_key_id",
    "secret-key-variable": "secret_access_key",
    "session-token-variable": "session_token",
    "token-variable": "bearer_token",
    "password-variable": "password",
}
"""Keys that name an environment variable, and what its value is for: no secret is in the file."""

SETTINGS = "settings"
"""A table of what else a filesystem of fsspec takes."""

KEYS = (*TEXTS, *FILES, *FLAGS, *VARIABLES, SETTINGS)

_HUB_VARIABLES = ("HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME")

KNOWN_HOSTS = os.path.join("~", ".ssh", "known_hosts")


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
        if key == SETTINGS:
            _check_settings(value)
        elif key not in FLAGS and (not isinstance(value, str) or not value.strip()):
            raise SourceFlaw(key, f"{key} must be a string", f'write {key} = "..."')
    endpoint = table.get("endpoint")
    if endpoint is not None:
        _check_endpoint(str(endpoint))


def source_options(home: str, table: Mapping[str, Any], environment: Mapping[str, str]) -> SourceOptions:
    """Return the settings of a checked table. Raises UsageError for a variable that is not set."""
    found: dict[str, Any] = {
        name: table[key] for key, name in (*TEXTS.items(), *FLAGS.items()) if key in table
    }
    found |= {name: os.path.expanduser(table[key]) for key, name in FILES.items() if key in table}
    if SETTINGS in table:
        found["settings"] = dict(table[SETTINGS])
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
    options = SourceOptions(home=home, **found)
    scheme = scheme_of(home)
    if scheme == HUB:
        return _of_hub(options, environment)
    if scheme == "sftp" and options.known_hosts is None:
        return replace(options, known_hosts=os.path.expanduser(KNOWN_HOSTS))
    return options


def usual_options(environment: Mapping[str, str]) -> list[SourceOptions]:
    """Return what the environment says about places that obstore does not ask for itself."""
    here = endpoint_here(environment)
    return [
        *([] if here is None else [here]),
        _of_hub(SourceOptions(home=f"{HUB}://"), environment),
        SourceOptions(home="sftp://", known_hosts=os.path.expanduser(KNOWN_HOSTS)),
    ]


def own_options(environment: Mapping[str, str]) -> list[SourceOptions]:
    """Return what the environment of an agent says about places in its own words: the rest is as its run has it."""
    here = endpoint_here(environment)
    found = [] if here is None else [here]
    if any(name in environment for name in _HUB_VARIABLES):
        found.append(_of_hub(SourceOptions(home=f"{HUB}://"), environment))
    return found


def _of_hub(options: SourceOptions, environment: Mapping[str, str]) -> SourceOptions:
    """Return how a Hub is reached, completed as its own tools do: `HF_ENDPOINT`, and the token of `hf auth login`.

    The token is for the Hub of the environment: an endpoint in the file, which may be someone else's, has its own.
    """
    endpoint = options.endpoint or environment.get("HF_ENDPOINT", "").strip().rstrip("/") or None
    options = replace(
        options, endpoint=endpoint, proxy=usable_proxy(proxy_of_environment(endpoint or HUB_ENDPOINT))
    )
    is_own = options.endpoint == (environment.get("HF_ENDPOINT", "").strip().rstrip("/") or None)
    is_given = options.bearer_token is not None or options.token_file is not None
    is_off = environment.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").upper() in ("1", "ON", "YES", "TRUE")
    if not is_own or is_given or is_off or options.anonymous:
        return options
    token = environment.get("HF_TOKEN", "").strip() or environment.get("HUGGING_FACE_HUB_TOKEN", "").strip()
    if token:
        return replace(options, bearer_token=token)
    cache = environment.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    home = environment.get("HF_HOME") or os.path.join(cache, "huggingface")
    path = environment.get("HF_TOKEN_PATH") or os.path.join(home, "token")
    return replace(options, token_file=os.path.expanduser(path))


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
        raise SourceFlaw(
            None,
            f"{home!r} is no place of objects",
            f'write [sources."SCHEME://NAME"], SCHEME:// one of {NAMED_SCHEMES}',
        )
    rest = home[len(scheme) + 3 :].removesuffix("/")
    if scheme == HUB:
        _check_repository(rest)
        return
    if "/" in rest or "@" in rest or "?" in rest:
        what = "bucket" if scheme in STORES else "host"
        raise SourceFlaw(
            None, f"the table of {scheme}:// has more than a {what} in its name", f'write "{scheme}://NAME"'
        )


def _check_repository(rest: str) -> None:
    try:
        is_one = not rest or hub_home_of(rest) == (rest, "")
    except HubFlaw:
        is_one = False
    if not is_one or "@" in rest:
        raise SourceFlaw(
            None,
            "the table of hf:// names no repository",
            'write "hf://datasets/OWNER/NAME", or "hf://" for all',
        )


def _check_settings(value: object) -> None:
    if not isinstance(value, dict) or not all(isinstance(one, str | int | float) for one in value.values()):
        raise SourceFlaw(
            SETTINGS,
            "settings must be a table of strings, numbers, true and false",
            "write settings = {timeout = 30}",
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
