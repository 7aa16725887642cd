"""The compact text form of object faults, for command lines: `503:1,drop-mid@/data/*.jsonl,replace@1%,etag=weak`."""

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
    probability,
    repeated,
    setting,
    whole_number,
    yes_or_no,
)
from bulk_upload.sandbox.objects.faults import (
    OBJECT_AMOUNTS,
    AimedSteps,
    EtagKind,
    ObjectChance,
    ObjectFaultKind,
    ObjectFaults,
    ObjectStep,
    RequestKind,
)

OBJECT_PRESETS = {
    "storm": "503:1@10%,500@5%,drop-mid@5%,cut@5%,head-503@5%,list-503@5%,budget=2",
    "shifting": "replace@5%,replace-mid@5%,replace-drop@5%,rewrite@5%,retag@5%,grow@5%,budget=1",
}
"""Named mixtures of faults; each always ends because it has a budget per object."""

_STEP = re.compile(r"(?:(head|list)-)?(?:([0-9]{3})(?::(.+))?|([a-z-]+)(?::(.+))?)", re.ASCII)


def parse_object_faults(text: str) -> ObjectFaults:
    """Read the text form of object faults.

    Items stand between commas or spaces. An item is a preset (`storm`), a step of the script (`503:1`, repeated with
    `503:1*5`, for another request with `head-403` or `list-503`), a step with a chance (`drop-mid@5%`), a step for
    certain objects (`replace@/BUCKET/KEY`, `403*9@/data/secret-*`), or a setting (`etag=weak`).

    Raises:
        UsageError: an item that is none of these; the message names it.
    """
    aimed: list[AimedSteps] = []
    script: list[ObjectStep] = []
    chances: list[ObjectChance] = []
    settings: dict[str, Any] = {}
    for item in items_of(text, OBJECT_PRESETS):
        before, at, after = item.partition("@")
        if at and after.startswith("/"):
            aimed.append(AimedSteps(pattern=after, steps=_steps(before)))
        elif at:
            step = parse_object_step(before)
            chances.append(ObjectChance(step=step, probability=probability(after, item)))
        elif "=" in item:
            field, value = setting(item, OBJECT_SETTINGS, of="object faults")
            settings[field] = value
        else:
            script.extend(_steps(item))
            check_step_count(len(script))
    return replace(ObjectFaults(aimed=tuple(aimed), script=tuple(script), chances=tuple(chances)), **settings)


def parse_object_step(text: str) -> ObjectStep:
    """Read one step: `ok`, `403`, `503:1`, `drop-mid:0.25`, `head-403`, `list-503:1`.

    Raises:
        UsageError: not a step.
    """
    match = _STEP.fullmatch(text)
    if match is None:
        raise _unknown(text)
    request, status, retry_after, word, amount = match.groups()
    asked = RequestKind(request) if request else RequestKind.GET
    if status is not None:
        if not may_be_sent(retry_after):
            raise _unknown(text)
        kind = ObjectFaultKind.STATUS
        return ObjectStep(kind=kind, request=asked, status=int(status), retry_after=retry_after)
    if word == ObjectFaultKind.STATUS or word not in set(ObjectFaultKind):
        raise _unknown(text)
    kind = ObjectFaultKind(word)
    takes_one = kind in OBJECT_AMOUNTS
    given = amount_of(word, amount, takes_one=takes_one, item=text, of="object faults")
    return ObjectStep(kind=kind, request=asked, amount=given)


def _steps(item: str) -> tuple[ObjectStep, ...]:
    text, count = repeated(item)
    check_step_count(count)
    return (parse_object_step(text),) * count


def _etag(text: str, item: str) -> EtagKind:
    if text not in set(EtagKind):
        raise UsageError(
            f"sandbox object faults: '{text}' in '{item}' is no kind of etag",
            hint="write " + ", ".join(EtagKind),
        )
    return EtagKind(text)


OBJECT_SETTINGS: Settings = {
    "seed": ("seed", whole_number),
    "budget": ("fault_budget", whole_number),
    "etag": ("etag", _etag),
    "versions": ("versions", yes_or_no),
    "ranges": ("ranges", yes_or_no),
    "page": ("page_max", whole_number),
}
"""The settings of the text form: their field, and how their value is read."""


def _unknown(text: str) -> UsageError:
    steps = ", ".join(kind for kind in ObjectFaultKind if kind is not ObjectFaultKind.STATUS)
    return UsageError(
        f"sandbox object faults: '{text}' is not a fault",
        hint=f"steps: {steps}, or a status like 403, 503:1, head-403, list-503; "
        f"presets: {', '.join(OBJECT_PRESETS)}",
    )
