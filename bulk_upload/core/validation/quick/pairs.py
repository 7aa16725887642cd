"""Compares two decoded answers to one prompt, as `answer_complaints` does for objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bulk_upload.core.purposes import Kind
from bulk_upload.core.validation.examples.answers import (
    ASSISTANT,
    PROMPT_ROLES,
    answer_fields,
    prompts_differ,
    same_answers,
)
from bulk_upload.core.validation.line_schema import order_complaints

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.purposes import Schema
    from bulk_upload.core.validation.rules import Complaint


def usual_pair(schema: Schema) -> Callable[[list[Any], list[Any]], bool] | None:
    """Return whether two answers are one message of the assistant each, of which nothing is said; None if that may be wrong."""
    fields = [one for one in answer_fields(schema) if one.kind is Kind.MESSAGES]
    if len(fields) != 2 or any(order_complaints((ASSISTANT,), one) for one in fields):
        return None
    return _are_usual


def _are_usual(first: list[Any], second: list[Any]) -> bool:
    if len(first) != 1 or len(second) != 1:
        return False
    one, other = first[0], second[0]
    if one.role != ASSISTANT or other.role != ASSISTANT:
        return False
    text: str = one.content.strip()
    other_text: str = other.content.strip()
    return text != other_text and text != "" != other_text


def may_be_no_pair(first: list[Any], *others: list[Any]) -> bool:
    """Whether answers may be the same, or answers to different prompts."""
    is_whole = len(first) > 1
    for one in others:
        if _end_alike(first, one) or ((is_whole or len(one) > 1) and _prompt(one) != _prompt(first)):
            return True
    return False


def pair_judge(schema: Schema, *, strict: bool) -> Callable[..., Complaint | None]:
    """Return what names the fault of two answers, None where only the exact path can say it."""
    names = [one.name for one in answer_fields(schema) if one.kind is Kind.MESSAGES]
    if len(names) != 2:
        return lambda *_: None
    same, differing = same_answers(*names), prompts_differ(*names)

    def judge(first: list[Any], second: list[Any]) -> Complaint | None:
        if first == second:
            # Other keys may make a difference.
            return same if strict and first else None
        return differing if not _end_alike(first, second) and _have_own_prompts(first, second) else None

    return judge


def _have_own_prompts(first: list[Any], second: list[Any]) -> bool:
    """Whether two conversations end with an answer, each to its own prompt."""
    return first[-1].role == second[-1].role == ASSISTANT and _prompt(first) != _prompt(second)


def _end_alike(first: list[Any], second: list[Any]) -> bool:
    """Whether two answers are the same but for white space, or one is absent."""
    return not first or not second or first[-1].content.strip() == second[-1].content.strip()


def _prompt(messages: list[Any]) -> list[tuple[str, str]]:
    # Other keys make no difference.
    return [(one.role, one.content) for one in messages if one.role in PROMPT_ROLES]
