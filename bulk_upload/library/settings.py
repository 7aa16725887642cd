"""The settings of a run as keyword arguments, checked before anything begins."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypedDict

from msgspec.structs import replace

from bulk_upload.core.bundle.grouping import FILES_MAX, FILES_MIN
from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.limits.timetable import Timetable
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.tally import FAILED_STATES
from bulk_upload.core.run.retry import RetryPolicy
from bulk_upload.core.run.settings import ConfirmMode, InDoubtPolicy, RunSettings, ValidateMode
from bulk_upload.core.text.wording import did_you_mean
from bulk_upload.core.validation.rules import RuleChoice
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from enum import StrEnum


class SettingOptions(TypedDict, total=False):
    """The fields of `RunSettings` by keyword; units are in the names, None means no limit.

    `bandwidth_bytes_per_s` is `bandwidth` as one number for the whole day. `attempts_max`, `backoff_s_initial` and
    `backoff_s_max` are those of the `retry_policy`. A policy, a mode, a hash function or a state may be given as its word:
    `"hold"`. `hashing` may be True for SHA-256, or False for None.
    """

    concurrency: int | None
    concurrency_max: int | None
    rate_per_s: float | None
    bandwidth: Timetable | None
    bandwidth_bytes_per_s: float | None
    retry_policy: RetryPolicy
    attempts_max: int
    backoff_s_initial: float
    backoff_s_max: float
    patience_s: float
    deadline_s: float | None
    errors_max: int | None
    errors_share: float | None
    in_doubt: InDoubtPolicy | str
    settle_s: float
    settle_answered_s: float
    compare_max_bytes: int
    retry: Iterable[EntryState | str]
    retry_renamed: bool
    retry_missing: bool
    looks_first: bool
    hashing: bool | HashFunction | str | None
    parked_max: int
    validate: ValidateMode | str
    rules: RuleChoice
    sends_invalid: bool
    bundle: int | None
    confirm: ConfirmMode | str


_OF_RETRIES = ("attempts_max", "backoff_s_initial", "backoff_s_max")
SETTING_NAMES = frozenset(SettingOptions.__annotations__)


def settings_with(base: RunSettings, options: Mapping[str, object]) -> RunSettings:
    """Return settings with some of them replaced.

    Raises UsageError for a value that a setting cannot have, and TypeError for a name that is none.
    """
    for name in options:
        if name not in SETTING_NAMES:
            meant = did_you_mean(name, tuple(sorted(SETTING_NAMES)))
            raise TypeError(f"there is no option {name!r}. {meant}".rstrip())
    values = {name: _checked(name, value) for name, value in options.items()}
    if "bandwidth_bytes_per_s" in values:
        if "bandwidth" in values:
            raise UsageError(
                "bandwidth is given twice", hint="pass bandwidth or bandwidth_bytes_per_s, not both"
            )
        number = values.pop("bandwidth_bytes_per_s")
        values["bandwidth"] = Timetable.always(number) if isinstance(number, (int, float)) else None
    of_retries = {name: values.pop(name) for name in _OF_RETRIES if name in values}
    settings = replace(base, **values)
    return replace(settings, retry_policy=replace(settings.retry_policy, **of_retries))


def _checked(name: str, value: object) -> object:
    if value is None and name in _MAY_BE_NONE:
        return None
    return _CHECKS[name](name, value)


def _count(name: str, value: object) -> object:
    return _number(name, value, least=1, whole=True)


def _count_or_none_at_all(name: str, value: object) -> object:
    return _number(name, value, least=0, whole=True)


def _bundle(name: str, value: object) -> object:
    return _number(name, value, least=FILES_MIN, most=FILES_MAX, whole=True)


def _above_zero(name: str, value: object) -> object:
    return _number(name, value, least=0, but_least=True)


def _from_zero(name: str, value: object) -> object:
    return _number(name, value, least=0)


def _share(name: str, value: object) -> object:
    return _number(name, value, least=0, most=1)


def _hashing(name: str, value: object) -> object:
    if isinstance(value, bool):
        return HashFunction.SHA256 if value else None
    return _word_of(HashFunction)(name, value)


def _number(
    name: str,
    value: object,
    *,
    least: float,
    most: float = math.inf,
    whole: bool = False,
    but_least: bool = False,
) -> object:
    kind = "a whole number" if whole else "a number"
    bounds = f"above {least}" if but_least else f"of at least {least}"
    wanted = f"{kind} {bounds}" if most == math.inf else f"{kind} from {least} to {most}"
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise _unusable(name, value, wanted)
    if not math.isfinite(value) or not least <= value <= most or (but_least and value == least):
        raise _unusable(name, value, wanted)
    return value


def _word_of(words: type[StrEnum]) -> Callable[[str, object], object]:
    def check(name: str, value: object) -> object:
        try:
            return words(str(value))
        except ValueError:
            raise _unusable(name, value, " or ".join(repr(one.value) for one in words)) from None

    return check


def _instance_of(kind: type, wanted: str) -> Callable[[str, object], object]:
    def check(name: str, value: object) -> object:
        if not isinstance(value, kind):
            raise _unusable(name, value, wanted)
        return value

    return check


def _states(name: str, value: object) -> object:
    known = [one.value for one in FAILED_STATES]
    if not isinstance(value, (set, frozenset, list, tuple)):
        raise _unusable(name, value, f"a list of {', '.join(known)}")
    if unknown := [one for one in value if one not in known]:
        raise _unusable(name, unknown[0], f"a list of {', '.join(known)}")
    return frozenset(map(EntryState, value))


def _unusable(name: str, value: object, wanted: str) -> UsageError:
    return UsageError(f"{name} cannot be {value!r}", hint=f"pass {wanted}")


_flag = _instance_of(bool, "True or False")
_CHECKS: dict[str, Callable[[str, object], object]] = {
    "concurrency": _count,
    "concurrency_max": _count,
    "rate_per_s": _above_zero,
    "bandwidth": _instance_of(Timetable, "a Timetable"),
    "bandwidth_bytes_per_s": _above_zero,
    "retry_policy": _instance_of(RetryPolicy, "a RetryPolicy"),
    "attempts_max": _count,
    "backoff_s_initial": _from_zero,
    "backoff_s_max": _from_zero,
    "patience_s": _from_zero,
    "deadline_s": _above_zero,
    "errors_max": _count_or_none_at_all,
    "errors_share": _share,
    "in_doubt": _word_of(InDoubtPolicy),
    "settle_s": _from_zero,
    "settle_answered_s": _from_zero,
    "compare_max_bytes": _count_or_none_at_all,
    "retry": _states,
    "retry_renamed": _flag,
    "retry_missing": _flag,
    "looks_first": _flag,
    "hashing": _hashing,
    "parked_max": _count,
    "validate": _word_of(ValidateMode),
    "rules": _instance_of(RuleChoice, "a RuleChoice"),
    "sends_invalid": _flag,
    "bundle": _bundle,
    "confirm": _word_of(ConfirmMode),
}
_MAY_BE_NONE = frozenset(
    {"concurrency", "concurrency_max", "rate_per_s", "bandwidth", "bandwidth_bytes_per_s"}
    | {"deadline_s", "errors_max", "errors_share", "hashing", "bundle"}
)
