"""Checks `weight` of messages: 1 is learnt from, 0 is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bulk_upload.core.validation.rules import COUNTED, NO_RULES, Complaint

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

_SHOWN_CHARACTERS = 24


def weight_complaints(
    messages: Sequence[Mapping[str, Any]],
    path: str,
    *,
    learnt_from: str | None,
    counted: Container[str] = NO_RULES,
) -> Iterator[Complaint]:
    """Yield what is wrong with the weights of one conversation; `learnt_from` is the role of its answers.

    Complaints of the `counted` rules have no words.
    """
    for index, message in enumerate(messages):
        weight = message.get("weight")
        if weight is None or (weight in (0, 1) and not isinstance(weight, bool)):
            continue
        if "bad-weight" in counted:
            yield COUNTED["bad-weight"]
            continue
        # As JSON has it, not Python.
        shown = json.dumps(weight, default=str)[:_SHOWN_CHARACTERS]
        yield Complaint("bad-weight", f"the weight is {shown}, neither 0 nor 1", f"{path}[{index}].weight")
    answers = [one.get("weight") for one in messages if one.get("role") == learnt_from]
    if answers and all(one == 0 and one is not False for one in answers):
        yield Complaint("no-weight", "the weight of every answer is 0: there is nothing to learn from", path)
