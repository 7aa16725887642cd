"""Finds likely secrets, by the patterns of detect-secrets, and personal data, in the texts of a record.

Nothing asks a server whether a secret is a real one: of detect-secrets only the patterns are used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from string import ascii_letters, digits
from typing import TYPE_CHECKING, Any, NamedTuple

from bulk_upload.core.dataset.personal import Sighting, personal_data, sighting
from bulk_upload.core.dataset.runs import run_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SCAN_EXTRA = "scan"
SECRET_RULE = "likely-secret"  # noqa: S105 - the name of a rule
PERSONAL_RULE = "personal-data"

_LEFT_OUT = frozenset({"IPPublicDetector"})
"""Public addresses are all over texts about networks."""

# Keys that detect-secrets 1.5 does not know.
_MORE = (
    ("Google API key", "AIza", r"AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"),
    ("Hugging Face token", "hf_", r"(?<![0-9A-Za-z_])hf_[A-Za-z0-9]{30,}"),
    ("Anthropic API key", "sk-ant-", r"sk-ant-[a-z0-9]+-[0-9A-Za-z_-]{20,}"),
    ("OpenAI Token", "sk-", r"sk-(?:proj|svcacct|admin)-[0-9A-Za-z_-]{20,}"),
    ("GitHub Token", "github_pat_", r"github_pat_[0-9A-Za-z_]{50,}"),
)
_PLACEHOLDER = re.compile(r"EXAMPLE|x{6}|X{6}|0{10}")
_SECRET_CHARACTERS = 8


class _Text(NamedTuple):
    """A text, and what decides which detectors look at it."""

    text: str
    lower: str
    named_keys: str
    """What is around each name of a key that a long value follows, in lower case."""


Gate = Callable[[_Text], str]
"""Returns what a detector looks at: the text, a part of it, or nothing where it would find nothing."""


def _pattern(pattern: str) -> Gate:
    search = re.compile(pattern).search
    return lambda one: one.text if search(one.text) else ""


def _literal(*literals: str) -> Gate:
    return lambda one: one.text if any(literal in one.text for literal in literals) else ""


def _lower(*literals: str) -> Gate:
    return lambda one: one.text if any(literal in one.lower for literal in literals) else ""


def _named_key(literal: str) -> Gate:
    return lambda one: one.text if literal in one.lower else one.named_keys


def _aws(one: _Text) -> str:
    return one.text if "aws" in one.lower or _find_aws_id(one.text) else ""


_may_have_key = run_of(ascii_letters + digits + "-_/+=.:", 20)
_find_named_keys = re.compile(
    r"""(?:key|pwd|pw|password|pass|token)["']?\]? *(?:=>|:=|::|=|:| ) *["']?[0-9a-z_-]{24}"""
).finditer
_BEFORE_KEY, _AFTER_KEY = 80, 160
"""Characters around them: more than what stands before such a key, and than it is long."""

_find_aws_id = re.compile(r"A(?:3T[A-Z0-9]|BIA|CCA|KIA|SIA)[0-9A-Z]{16}").search

_SHORT = frozenset({"ArtifactoryDetector", "BasicAuthDetector", "PrivateKeyDetector", "SlackDetector"})
"""What these find may be shorter than twenty characters without a space."""

_GATES: dict[str, Gate] = {
    "ArtifactoryDetector": _pattern(r"AKC[a-zA-Z0-9]{10}|AP[0-9A-F][a-zA-Z0-9]{8}"),
    "AWSKeyDetector": _aws,
    "BasicAuthDetector": _literal("://"),
    "CloudantDetector": _named_key("cloudant.com"),
    "DiscordBotTokenDetector": _pattern(r"\.[a-zA-Z\d_-]{6}\.[a-zA-Z\d_-]{27}"),
    "IbmCloudIamDetector": lambda one: one.named_keys,
    "IbmCosHmacDetector": lambda one: one.named_keys,
    "MailchimpDetector": _literal("-us"),
    "PrivateKeyDetector": _literal("PRIVATE KEY", "PuTTY-User-Key-File"),
    "SlackDetector": _lower("xox", "hooks.slack.com"),
    "SoftlayerDetector": _named_key("softlayer.com"),
    "StripeDetector": _literal("k_live_"),
    "TelegramBotTokenDetector": _pattern(r":[0-9A-Za-z_-]{35}"),
}
"""What a text must have for a detector to find something in it: the slow ones look at few texts."""


class _Detector(NamedTuple):
    kind: str
    is_short: bool
    gate: Gate | None
    patterns: tuple[re.Pattern[str], ...]


class Found(NamedTuple):
    """A rule, where in the record, and what may be said about it."""

    rule: str
    path: str
    what: Sighting


def can_scan() -> bool:
    """Whether the package that knows secrets is installed."""
    return find_spec("detect_secrets") is not None


@cache
def _detectors() -> tuple[_Detector, ...]:
    import importlib  # noqa: PLC0415 - as are these, together slow to import
    import inspect  # noqa: PLC0415
    import pkgutil  # noqa: PLC0415

    plugins: Any = importlib.import_module("detect_secrets.plugins")
    base: Any = importlib.import_module("detect_secrets.plugins.base").RegexBasedDetector
    found = []
    for module in sorted(one.name for one in pkgutil.iter_modules(plugins.__path__)):
        classes: list[tuple[str, Any]] = inspect.getmembers(
            importlib.import_module(f"detect_secrets.plugins.{module}"), inspect.isclass
        )
        for name, kind in classes:
            if issubclass(kind, base) and not inspect.isabstract(kind) and name not in _LEFT_OUT:
                patterns = tuple(kind().denylist)
                found.append(_Detector(kind.secret_type, name in _SHORT, _GATES.get(name), patterns))
    found += [
        _Detector(kind, False, _literal(literal), (re.compile(pattern),)) for kind, literal, pattern in _MORE
    ]
    return tuple(found)


def _named_keys(lower: str) -> str:
    found = _find_named_keys(lower)
    return "\n".join([lower[max(0, one.start() - _BEFORE_KEY) : one.end() + _AFTER_KEY] for one in found])


def secrets_in(text: str) -> Iterator[Sighting]:
    """Yield the secrets that a text likely has."""
    lower = text.lower()
    may_have_key = _may_have_key(text.encode("utf-8", "replace"))
    seen = _Text(text, lower, _named_keys(lower) if may_have_key else "")
    for kind, is_short, gate, patterns in _detectors():
        looked_at = "" if not (is_short or may_have_key) else text if gate is None else gate(seen)
        for pattern in patterns if looked_at else ():
            for match in pattern.finditer(looked_at):
                secret = max(match.groups(default=""), key=len, default="")
                secret = secret if len(secret) >= _SECRET_CHARACTERS else match[0]
                if not _PLACEHOLDER.search(secret):
                    yield sighting(kind, secret)


def scan(record: object) -> list[Found]:
    """Return what is found in the texts of a record, each kind once for each text."""
    texts = list(_texts(record))
    joined = "\n".join(texts)
    if next(secrets_in(joined), None) is None and next(personal_data(joined), None) is None:
        # Nearly always.
        return []
    found = []
    for path, text in _placed(record, "$"):
        found += [Found(SECRET_RULE, path, one) for one in _once(secrets_in(text))]
        found += [Found(PERSONAL_RULE, path, one) for one in _once(personal_data(text))]
    return found


def _once(sightings: Iterator[Sighting]) -> Sequence[Sighting]:
    return list({one.kind: one for one in sightings}.values())


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _placed(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _placed(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _placed(inner, f"{path}[{index}]")
