"""The compact text form of faults, for command lines: `ok,429:1,drop-stored@5%,budget=2`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from bulk_upload.errors import UsageError
from bulk_upload.sandbox.fault_items import (
    Settings,
    amount_of,
    check_step_count,
    items_of,
    may_be_sent,
    number,
    probability,
    repeated,
    setting,
    whole_number,
    yes_or_no,
)
from bulk_upload.sandbox.faults import DEFAULT_AMOUNTS, Chance, FaultKind, Faults, Moment, Step

PRESETS = {
    "storm": "429:1@15%,503:1@10%,500@5%,408@5%,budget=2",
    "ambiguous": "stored-500@10%,stored-504@5%,drop-stored@10%,drop-mid@5%,budget=2",
    "liar": "no-id@6%,html@6%,wrong-bytes@6%,duplicate-id@6%,truncated@6%,garbage@6%,budget=1",
    "harsh": "429:1@8%,early-503:1@5%,500@5%,stored-502@5%,drop-head@3%,drop-mid@8%,drop-stored@8%,"
    "no-id@3%,truncated@3%,delay:1@5%,list-lag=1,budget=2",
    "bundles": "429:1@5%,500@5%,stored-422@5%,422@5%,drop-mid@5%,drop-part@8%,drop-stored@5%,reversed@20%,left-out@8%,"
    "renamed@5%,wrong-bytes@5%,html@5%,budget=2,bulk-only=yes",
}
"""Named mixtures of faults; each always ends because it has a budget per file."""

_STATUS = re.compile(r"(early-|stored-)?([0-9]{3})(?::(.+))?", re.ASCII)


def parse_faults(text: str) -> Faults:
    """Read the text form of faults.

    Items stand between commas or spaces. An item is a preset (`storm`), a step of the script (`429:1`, repeated
    with `429:1*5`), a step with a chance (`drop-stored@5%`, `drop-stored@0.05`), or a setting (`budget=2`).

    Raises:
        UsageError: an item that is none of these; the message names it.
    """
    script: list[Step] = []
    chances: list[Chance] = []
    settings: dict[str, Any] = {}
    for item in items_of(text, PRESETS):
        if "=" in item:
            field, value = setting(item, _SETTINGS, of="faults")
            settings[field] = value
        elif "@" in item:
            chances.append(_chance(item))
        else:
            step, count = repeated(item)
            script.extend([parse_step(step)] * count)
            check_step_count(len(script))
    return replace(Faults(script=tuple(script), chances=tuple(chances)), **settings)


def parse_step(text: str) -> Step:
    """Read one step: `ok`, `429:1`, `early-413`, `stored-503`, `503:date+2`, `307:http://127.0.0.1:9/`, `drop-mid:0.25`, `no-id`.

    Raises:
        UsageError: not a step.
    """
    match = _STATUS.fullmatch(text)
    if match is not None:
        return _status_step(*match.groups(), text=text)
    word, colon, amount = text.partition(":")
    if word == FaultKind.STATUS or word not in set(FaultKind):
        raise _unknown(text)
    kind = FaultKind(word)
    takes_one = kind in DEFAULT_AMOUNTS
    given = amount if colon else None
    return Step(kind=kind, amount=amount_of(word, given, takes_one=takes_one, item=text, of="faults"))


def _status_step(moment: str | None, status: str, header: str | None, *, text: str) -> Step:
    if not may_be_sent(header):
        raise _unknown(text)
    redirects = status.startswith("3")
    return Step(
        kind=FaultKind.STATUS,
        status=int(status),
        moment=Moment(moment or ""),
        retry_after=None if redirects else header,
        location=header if redirects else None,
    )


def _chance(item: str) -> Chance:
    step, _, text = item.rpartition("@")
    return Chance(step=parse_step(step), probability=probability(text, item))


_SETTINGS: Settings = {
    "seed": ("seed", whole_number),
    "budget": ("fault_budget", whole_number),
    "answer-delay": ("answer_delay_s", number),
    "read-rate": ("read_bytes_per_s", number),
    "list-lag": ("list_lag_s", number),
    "max-in-flight": ("max_in_flight", whole_number),
    "rate": ("rate_per_s", number),
    "burst": ("burst", whole_number),
    "linger": ("linger_s", number),
    "ignore-expect": ("ignore_expect", yes_or_no),
    "body-max": ("body_bytes_max", whole_number),
    "refuse-name": ("refused_name", lambda text, _: text),
    "bulk-only": ("bulk_only", yes_or_no),
    "bulk": ("has_bulk", yes_or_no),
}


def _unknown(text: str) -> UsageError:
    steps = ", ".join(kind for kind in FaultKind if kind is not FaultKind.STATUS)
    return UsageError(
        f"sandbox faults: '{text}' is not a fault",
        hint=f"steps: {steps}, or a status like 429:1, early-413, stored-503; presets: {', '.join(PRESETS)}",
    )
