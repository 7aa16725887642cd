"""Addresses in repositories of the Hugging Face Hub: `hf://datasets/OWNER/NAME@REVISION/PATH`, as its own tools write them."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

HUB = "hf"
"""The scheme of the Hub."""

HUB_ENDPOINT = "https://huggingface.co"

KINDS = ("datasets", "models", "spaces")
"""Kinds of repositories. `models` may be left out in an address."""

DEFAULT_REVISION = "main"

_OTHER_KINDS = ("buckets", "kernels")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}", re.ASCII)
_REFS = re.compile(r"refs/(?:convert/[A-Za-z0-9_.-]+|pr/[0-9]+)(?=/|$)", re.ASCII)
"""Revisions with slashes, which need no escapes: of pull requests, and of conversions to Parquet."""


class HubFlaw(ValueError):
    """Why an address in the Hub cannot be used; `remedy` says what to do."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.remedy = remedy


class Repository(NamedTuple):
    """A repository at a revision: `kind` is one of KINDS, `name` is OWNER/NAME."""

    kind: str
    name: str
    revision: str

    @property
    def api_path(self) -> str:
        """The path of its API, after the endpoint."""
        return f"/api/{self.kind}/{self.name}"

    @property
    def files_path(self) -> str:
        """The path of its files, after the endpoint: models stand at the root."""
        return f"/{self.name}" if self.kind == "models" else f"/{self.kind}/{self.name}"


def hub_home_of(rest: str) -> tuple[str, str]:
    """Split what follows `hf://` into the home of the objects in its one form, and the path there. Raises HubFlaw.

    The revision `main` is left out, as it is what no revision stands for, and `models` is written.
    """
    kind, _, after = rest.partition("/")
    if kind in _OTHER_KINDS:
        raise HubFlaw(
            f'"hf://{kind}/" is not read', f"Use one of {', '.join(f'hf://{one}/' for one in KINDS)}"
        )
    if kind not in KINDS:
        kind, after = "models", rest
    owner, _, after = after.partition("/")
    end = min((place for place in (after.find("/"), after.find("@")) if place >= 0), default=len(after))
    name, after = after[:end], after[end:]
    if _NAME.fullmatch(owner) is None or _NAME.fullmatch(name) is None:
        raise HubFlaw(
            '"hf://" is followed by no repository',
            "Write hf://datasets/OWNER/NAME/PATH, or @REVISION after the name",
        )
    revision = DEFAULT_REVISION
    if after.startswith("@"):
        revision, after = _revision(after[1:])
    home = f"{kind}/{owner}/{name}"
    if revision != DEFAULT_REVISION:
        home += f"@{revision if _REFS.fullmatch(revision) else quote(revision, safe='')}"
    return home, after.removeprefix("/")


def repository_of(home: str) -> Repository:
    """Return the repository that the home of an address names."""
    place, _, revision = home.partition("@")
    kind, _, name = place.partition("/")
    return Repository(kind, name, unquote(revision) or DEFAULT_REVISION)


def without_revision(base: str) -> str:
    """Return the address of a repository without its revision."""
    return base.partition("@")[0]


def _revision(text: str) -> tuple[str, str]:
    refs = _REFS.match(text)
    if refs is not None:
        return refs[0], text[refs.end() :]
    revision, slash, after = text.partition("/")
    if not revision or not revision.isprintable():
        raise HubFlaw(
            "the @ of the repository is followed by no revision", "Write @REVISION, or leave the @ out"
        )
    return unquote(revision), slash + after
