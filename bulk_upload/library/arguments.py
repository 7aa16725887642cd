"""What callers pass, checked before anything begins: a wrong type is named there and then, not where it is first used."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from bulk_upload.core.api.network import Network
from bulk_upload.core.api.profile import Profile
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.errors import UsageError


class Check(NamedTuple):
    """What a value must be: whether it is, and the same in words."""

    fits: Callable[[object], bool]
    wanted: str


def check_uploader(arguments: Mapping[str, object]) -> None:
    """Raise UsageError for an argument of `Uploader` that is of a wrong type; `api_key` and settings are not looked at.

    Values are not shown: a proxy's address may hold a password.
    """
    for name, value in arguments.items():
        check = _UPLOADER.get(name)
        if check is not None and not check.fits(value):
            raise _unfit(name, value, check.wanted)


def check_flag(name: str, value: object) -> None:
    """Raise UsageError for what is neither True nor False."""
    if not isinstance(value, bool):
        raise _unfit(name, value, "True or False")


def _unfit(name: str, value: object, wanted: str) -> UsageError:
    if isinstance(value, (bool, int, float)):
        return UsageError(f"{name} cannot be {value!r}", hint=f"pass {wanted}")
    return UsageError(f"{name} cannot be of the type {type(value).__name__}", hint=f"pass {wanted}")


def _is(*kinds: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kinds)


def _number(least: float, *, but_least: bool = False) -> Callable[[object], bool]:
    def fits(value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return math.isfinite(value) and (value > least if but_least else value >= least)

    return fits


def _whole_from_one(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_listener(value: object) -> bool:
    """Whether events can be handed over: nobody would await what a coroutine function returns."""
    if value is None:
        return True
    return callable(value) and not (inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value))


def _has(name: str) -> Callable[[object], bool]:
    return lambda value: value is None or hasattr(value, name)


_SECONDS = Check(_number(0, but_least=True), "a number of seconds above 0")
_UPLOADER: dict[str, Check] = {
    "base_url": Check(_is(str, type(None)), "the address of the server as a string"),
    "profile": Check(_is(Profile), "a Profile"),
    "team": Check(_is(str, type(None)), "a string"),
    "settings": Check(_is(RunSettings, type(None)), "a RunSettings, or each setting by keyword"),
    "stall_s": _SECONDS,
    "answer_s": _SECONDS,
    "min_bytes_per_s": Check(_number(0), "a number of at least 0"),
    "allow_plain_http": Check(_is(bool), "True or False"),
    "network": Check(_is(Network), "a core.api.network.Network"),
    "purposes": Check(_is(Mapping, type(None)), "a mapping of names to Purpose"),
    "on_event": Check(_is_listener, "a plain function of one event, not a coroutine function"),
    "tracer": Check(_has("start_span"), 'a tracer: opentelemetry.trace.get_tracer("…")'),
    "meter": Check(_has("create_histogram"), 'a meter: opentelemetry.metrics.get_meter("…")'),
    "clock": Check(_has("monotonic"), "a clock"),
    "fleet": Check(_has("settings"), "a fleet: bulk_upload.dask.DaskFleet(client)"),
    "processes": Check(_whole_from_one, "a whole number of at least 1"),
}
