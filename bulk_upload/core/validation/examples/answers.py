"""Checks answers against the conversation that they answer, and against each other."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeGuard

from bulk_upload.core.purposes import Kind
from bulk_upload.core.validation.json_text import step
from bulk_upload.core.validation.rules import Complaint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bulk_upload.core.purposes import Field, Schema

ASSISTANT = "assistant"
PROMPT_ROLES = frozenset({"system", "user"})
"""Roles of messages that ask: the same for both answers of a pair."""


def answer_fields(schema: Schema) -> tuple[Field, ...]:
    """Return the fields that hold answers."""
    return tuple(field for field in schema.fields if field.is_answer)


def question_field(schema: Schema) -> Field | None:
    """Return the field of the conversation that is answered, None where there is none."""
    return next((one for one in schema.fields if one.kind is Kind.MESSAGES and not one.is_answer), None)


def answer_complaints(value: Mapping[str, Any], schema: Schema) -> Iterator[Complaint]:
    """Yield what is wrong with the answers of one line whose fields are as they must be."""
    answers = answer_fields(schema)
    if not answers:
        return
    pair = [one for one in answers if one.kind is Kind.MESSAGES]
    for first, second in pairwise(pair):
        yield from _pair(value, first.name, second.name)
    question = question_field(schema)
    if question is not None:
        yield from _given_away(value, question.name, answers)


def _pair(value: Mapping[str, Any], first: str, second: str) -> Iterator[Complaint]:
    chosen, rejected = value.get(first), value.get(second)
    if not _are_messages(chosen) or not _are_messages(rejected):
        return
    if chosen == rejected:
        yield same_answers(first, second)
    elif _are_alike(chosen, rejected):
        found = f"`{first}` and `{second}` differ in white space only: nothing is learnt"
        yield Complaint("same-answers", found, f"${step(second)}")
    elif _ends_with_answer(chosen) and _ends_with_answer(rejected) and _prompt(chosen) != _prompt(rejected):
        yield prompts_differ(first, second)


def same_answers(first: str, second: str) -> Complaint:
    """Return a complaint about two answers that are one."""
    found = f"`{first}` and `{second}` are the same: nothing is learnt"
    return Complaint("same-answers", found, f"${step(second)}")


def prompts_differ(first: str, second: str) -> Complaint:
    """Return a complaint about two answers to different prompts."""
    found = f"`{first}` and `{second}` answer different prompts"
    return Complaint("prompts-differ", found, f"${step(second)}")


def _given_away(value: Mapping[str, Any], question: str, answers: Sequence[Field]) -> Iterator[Complaint]:
    messages = value.get(question)
    if not _are_messages(messages) or not _ends_with_answer(messages):
        return
    said = messages[-1].get("content")
    for field in answers:
        if _repeats(said, value.get(field.name)):
            found = f"`{question}` ends with the assistant and repeats `{field.name}`: the prompt gives the answer away"
            # A conversion takes it out where it is the answer, word for word.
            is_whole = len(messages) > 1 and value.get(field.name) in (messages[-1:], messages)
            remedy = None if is_whole else f"Remove the last message from `{question}`"
            yield Complaint("answer-in-messages", found, f"${step(question)}[{len(messages) - 1}]", remedy)
            return


def _repeats(said: object, answer: object) -> bool:
    if isinstance(answer, str):
        return isinstance(said, str) and bool(answer.strip()) and answer.strip() in said
    if not _are_messages(answer):
        return False
    last = answer[-1].get("content")
    if isinstance(said, str) and isinstance(last, str):
        return said.strip() == last.strip()
    return said is not None and said == last


def _are_alike(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> bool:
    """Whether messages are the same but for the white space around their texts."""
    if len(first) != len(second):
        return False
    for one, other in zip(first, second, strict=True):
        if one.keys() != other.keys() or any(_bare(one[key]) != _bare(other[key]) for key in one):
            return False
    return True


def _bare(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _ends_with_answer(messages: Sequence[Mapping[str, Any]]) -> bool:
    return bool(messages[-1].get("role") == ASSISTANT)


def _prompt(messages: Sequence[Mapping[str, Any]]) -> list[tuple[object, object]]:
    return [(one.get("role"), one.get("content")) for one in messages if one.get("role") in PROMPT_ROLES]


def _are_messages(value: object) -> TypeGuard[list[Mapping[str, Any]]]:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)
