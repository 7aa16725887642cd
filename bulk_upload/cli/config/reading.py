"""Reads bulk-upload.toml and checks all of it, with the line of each error, before any of it is used."""

from __future__ import annotations

import os
import re
import stat
from collections import ChainMap
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import click

from bulk_upload.cli.config.file import FILE_NAME, Configuration, typed_for
from bulk_upload.cli.config.sources import SourceFlaw, check_source
from bulk_upload.core.api.profile import FLOW, Profile, variable_flaw
from bulk_upload.core.api.profile_table import ProfileFlaw, profile_of
from bulk_upload.core.api.redaction import SECRET_CHARS_MIN
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.text_bytes import text_in
from bulk_upload.core.text.toml_lines import line_of
from bulk_upload.core.text.wording import did_you_mean
from bulk_upload.edge.profiles import BUILT_IN
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bulk_upload.cli.config.file import Settings

_NO_FILE = "none"
_TABLES = ("defaults", "profiles", "jobs", "sources")
_BYTES_MAX = 1024 * 1024
_SECRET_KEYS = frozenset(
    {"api-key", "apikey", "key", "password", "passwd", "secret", "token", "seekr-api-key", "bearer"}
)


def configuration_for(named: str | None, settings_of: Callable[[], Settings]) -> Configuration:
    """Return the content of the named file, else of the one in the current folder. Raises UsageError for errors in it.

    `settings_of` returns the options that the file may set; it is called only if there is one.
    """
    if named == _NO_FILE or (named is None and not os.path.exists(FILE_NAME)):
        return Configuration()
    path = FILE_NAME if named is None else named
    return configuration_of(path, _read(path, trusted=named is not None), settings_of())


def configuration_of(path: str, text: str, settings: Settings) -> Configuration:
    """Return the content of the text of the file at `path`. Raises UsageError for errors in it."""
    return _Reading(path, text, _parsed(path, text), settings).configuration()


def names_in(table: str) -> list[str]:
    """Return the names under `table` in the current folder's file, without validating them. Raises UsageError."""
    if not os.path.exists(FILE_NAME):
        return []
    found = _parsed(FILE_NAME, _read(FILE_NAME, trusted=False)).get(table)
    return list(found) if isinstance(found, dict) else []


def values_of(key: str) -> list[str]:
    """Return the texts that the defaults and jobs of the current folder's file have for a key, without validating them.

    Raises UsageError for a file that cannot be read.
    """
    if not os.path.exists(FILE_NAME):
        return []
    tables = _parsed(FILE_NAME, _read(FILE_NAME, trusted=False))
    jobs = tables.get("jobs")
    found = [tables.get("defaults"), *(jobs.values() if isinstance(jobs, dict) else ())]
    return [one[key] for one in found if isinstance(one, dict) and isinstance(one.get(key), str)]


def _parsed(path: str, text: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - most runs have no file

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"{printable(path)} is not TOML: {printable(str(error))}", hint="https://toml.io shows the format"
        ) from None


def _read(path: str, *, trusted: bool) -> str:
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if not trusted:
                _require_own(path, status)
            data = file.read(_BYTES_MAX + 1)
        if len(data) > _BYTES_MAX:
            raise UsageError(
                f"{printable(path)} is larger than 1 MiB", hint="name another with --config FILE"
            )
        # As in text mode: TOML does not accept the line ends of old editors.
        return text_in(data).replace("\r\n", "\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is {error}"
        raise UsageError(
            f"cannot read {printable(path)}: {reason}", hint="name another with --config FILE"
        ) from None


def _require_own(path: str, status: os.stat_result) -> None:
    """Refuse a file that another user may have placed here: it says where the key goes."""
    if status.st_uid not in (0, os.getuid()) or status.st_mode & stat.S_IWOTH:
        raise UsageError(
            f"{path} in this folder belongs to, or can be written by, someone else",
            hint=f"pass --config {path} if you trust it, otherwise --config none: it decides where the key is sent",
        )


class _Reading:
    """Checks the whole content of a file before any of it is used."""

    def __init__(self, path: str, text: str, tables: dict[str, Any], settings: Settings) -> None:
        self._path = path
        self._text = text
        self._tables = tables
        self._settings = settings

    def configuration(self) -> Configuration:
        """Return the content of the file. Raises UsageError for the first error."""
        self._refuse_secrets(self._tables, ())
        for name, table in self._tables.items():
            if name not in _TABLES:
                what = (
                    f"unknown table [{name}]" if isinstance(table, dict) else f"{name!r} is outside a table"
                )
                near = did_you_mean(name, _TABLES)
                raise self._wrong(
                    (name,),
                    what,
                    f'{near}Tables: [defaults], [profiles.NAME], [jobs.NAME], [sources."s3://BUCKET"]',
                )
        defaults = self._table("defaults")
        self._check_settings(("defaults",), defaults)
        jobs = self._tables_of("jobs")
        for name, job in jobs.items():
            self._check_job(name, job)
        profiles = {name: self._profile(name, table) for name, table in self._tables_of("profiles").items()}
        for profile in profiles.values():
            self._check_variables(profile, profiles)
        sources = self._tables_of("sources")
        for name, source in sources.items():
            self._check_source(name, source)
        return Configuration(
            path=self._path,
            text=self._text,
            defaults=defaults,
            jobs=jobs,
            sources=sources,
            profiles=ChainMap(profiles, cast("dict[str, Profile]", BUILT_IN)),
        )

    def _table(self, name: str) -> dict[str, Any]:
        table = self._tables.get(name, {})
        if not isinstance(table, dict):
            raise self._wrong((name,), f"{name} must be a table", f"write [{name}] on a line of its own")
        return table

    def _tables_of(self, name: str) -> dict[str, dict[str, Any]]:
        found = self._table(name)
        for inner, table in found.items():
            if not isinstance(table, dict):
                raise self._wrong((name, inner), f"{inner!r} is not a table", f"write [{name}.NAME] above it")
        return found

    def _check_job(self, name: str, job: dict[str, Any]) -> None:
        keys = ("jobs", name)
        manifest = job.get("manifest")
        if manifest is None:
            raise self._wrong(keys, f"the job {name!r} has no manifest", 'add manifest = "FILE"')
        if not isinstance(manifest, str) or not manifest.strip():
            raise self._wrong((*keys, "manifest"), "manifest must be a string", 'write manifest = "FILE"')
        options = {key: value for key, value in job.items() if key != "manifest"}
        self._check_settings(keys, options, also=("manifest",))

    def _check_settings(
        self,
        keys: tuple[str, ...],
        table: Mapping[str, Any],
        also: tuple[str, ...] = (),
    ) -> None:
        for key, value in table.items():
            if key not in self._settings:
                near = did_you_mean(key, (*also, *self._settings))
                raise self._wrong(
                    (*keys, key),
                    f"unknown setting {key!r}",
                    f"{near}`bulk-upload run --help` lists them; write them here without the leading dashes",
                )
            self._check_value((*keys, key), self._settings[key], value)

    def _check_value(self, keys: tuple[str, ...], option: click.Option, value: Any) -> None:  # noqa: ANN401
        if option.is_flag and not option.count and not isinstance(value, bool):
            raise self._wrong(keys, f"{keys[-1]} must be true or false", f"write {keys[-1]} = true")
        atoms = value if option.multiple and isinstance(value, list) else [value]
        if not option.is_flag and not all(_is_atom(one) for one in atoms):
            raise self._wrong(keys, f"{keys[-1]} must be a string or a number", f'write {keys[-1]} = "..."')
        if isinstance(value, str) and _has_password(keys[-1], value):
            raise self._wrong(
                keys,
                f"{keys[-1]} contains a user name or password, which others may read here",
                "remove it from the address; for a proxy, set the whole address in the variable HTTPS_PROXY",
            )
        try:
            option.type_cast_value(click.Context(click.Command("run")), typed_for(option, value))
        except click.BadParameter as error:
            raise self._wrong(
                keys, f"{keys[-1]}: {error.message}", "`bulk-upload run --help` explains it"
            ) from None

    def _profile(self, name: str, table: Mapping[str, Any]) -> Profile:
        try:
            return profile_of(name, table)
        except ProfileFlaw as flaw:
            keys = ("profiles", name) if flaw.key is None else ("profiles", name, flaw.key)
            raise self._wrong(
                keys, str(flaw), "docs/reference/profiles.md explains every key of a profile"
            ) from None

    def _check_source(self, home: str, table: Mapping[str, Any]) -> None:
        try:
            check_source(home, table)
        except SourceFlaw as flaw:
            keys = ("sources", home) if flaw.key is None else ("sources", home, flaw.key)
            raise self._wrong(keys, str(flaw), flaw.remedy) from None

    def _check_variables(self, profile: Profile, profiles: Mapping[str, Profile]) -> None:
        flaw = variable_flaw(profile, profiles.values())
        if flaw is not None:
            key, what = flaw
            raise self._wrong(("profiles", profile.name, key), what, "give the profile its own variable")

    def _refuse_secrets(self, table: Mapping[str, Any], above: tuple[str, ...]) -> None:
        """Refuse a key under any of its names; its value is never shown."""
        for key, value in table.items():
            keys = (*above, key)
            if isinstance(value, dict) and (not above or above in (("jobs",), ("profiles",), ("sources",))):
                self._refuse_secrets(value, keys)
            elif re.sub(r"[\s_]+", "-", key.lower()) in _SECRET_KEYS or (
                isinstance(value, str) and any(known in value for known in self._known_keys())
            ):
                raise self._wrong(
                    keys,
                    f"{key!r} would store a secret in this file, where others may read it",
                    "remove it, and say where the key is: api-key-file = FILE, "
                    f"api-key-command = COMMAND, or the variable {FLOW.key_variable} (of another profile the one "
                    "that its key-variable names)",
                )

    def _known_keys(self) -> Iterator[str]:
        """Yield the keys in the variables of the profiles, to find them where they must not be."""
        tables = self._tables.get("profiles")
        own = tables.values() if isinstance(tables, dict) else ()
        named = [table.get("key-variable") for table in own if isinstance(table, dict)]
        for variable in (*(one.key_variable for one in BUILT_IN.values()), *named):
            key = os.environ.get(variable, "").strip() if isinstance(variable, str) and variable else ""
            if len(key) >= SECRET_CHARS_MIN:
                yield key

    def _wrong(self, keys: tuple[str, ...], what: str, hint: str) -> UsageError:
        where = f"{self._path}, line {line_of(self._text, keys)}"
        table = f" [{'.'.join(keys[:-1])}]" if len(keys) > 1 else ""
        return UsageError(f"{printable(where)}:{printable(table)} {printable(what)}", hint=hint)


def _is_atom(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _has_password(key: str, address: str) -> bool:
    if "://" not in address:
        # As in curl: `user:password@proxy:3128`.
        return key == "proxy" and "@" in address
    try:
        return "@" in urlsplit(address).netloc
    except ValueError:
        return True
