"""Checks tool calls: how they are written, and that calls and results belong together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from bulk_upload.core.text.wording import quoted
from bulk_upload.core.validation.rules import COUNTED, NO_RULES, Complaint

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

_TOOL = "tool"
_PLAIN_CHARACTERS_MAX = 4000
_OPEN_MAX = 200
"""In so short a text with fewer brackets no number is too long and no value too deep for Python's reader."""

_object = msgspec.json.Decoder(dict[str, Any]).decode


def tool_complaints(
    messages: Sequence[Mapping[str, Any]], path: str, counted: Container[str] = NO_RULES
) -> Iterator[Complaint]:
    """Yield what is wrong with the tool calls of one conversation and their results.

    Complaints of the `counted` rules may have no words.
    """
    waiting: dict[str, str] = {}
    """Calls without a result so far, and the place of each."""
    seen: set[str] = set()
    for index, message in enumerate(messages):
        result_of = message.get("tool_call_id")
        if isinstance(result_of, str):
            if waiting.pop(result_of, None) is None:
                yield _unmatched(result_of, f"{path}[{index}]", answered=result_of in seen)
        elif message.get("role") == _TOOL and seen:
            found = 'the result of a tool has no "tool_call_id"'
            place = f"{path}[{index}]"
            yield Complaint("bad-tool-call", found, place, 'Add the "id" of the call that it answers')
        elif message.get("role") != _TOOL and waiting:
            yield from _unanswered(waiting, counted)
            waiting.clear()
        if message.get("tool_calls") is not None:
            yield from _registered(message["tool_calls"], f"{path}[{index}].tool_calls", seen, waiting)
    # Calls of the last message are what is to be learnt.
    if not waiting:
        return
    last = f"{path}[{len(messages) - 1}]."
    yield from _unanswered(
        {one: place for one, place in waiting.items() if not place.startswith(last)}, counted
    )


def _registered(calls: object, path: str, seen: set[str], waiting: dict[str, str]) -> Iterator[Complaint]:
    """Yield what is wrong with the calls of one message, and enter their ids into `seen` and `waiting`."""
    for call_id, place, complaint in _calls(calls, path):
        if complaint is not None:
            yield complaint
        if call_id is not None and call_id in seen:
            found = f"the id {quoted(call_id)} is that of an earlier call too"
            yield Complaint("tool-call-ids", found, f"{place}.id", "Give each call an id of its own")
        elif call_id is not None:
            seen.add(call_id)
            waiting[call_id] = place


def _unmatched(call_id: str, place: str, *, answered: bool) -> Complaint:
    why = (
        "which has its result already, or came too long before"
        if answered
        else "which no earlier message has"
    )
    found = f"the result is for the call {quoted(call_id)}, {why}"
    remedy = "Let each result follow its call, with the id of the call as tool_call_id"
    return Complaint("tool-call-ids", found, f"{place}.tool_call_id", remedy)


def _unanswered(waiting: Mapping[str, str], counted: Container[str]) -> Iterator[Complaint]:
    if "tool-call-ids" in counted:
        yield from [COUNTED["tool-call-ids"]] * len(waiting)
        return
    for call_id, place in waiting.items():
        found = f"the call {quoted(call_id)} has no result before the next turn"
        yield Complaint("tool-call-ids", found, place, "Add a message of the role tool with its result")


def _calls(calls: object, path: str) -> Iterator[tuple[str | None, str, Complaint | None]]:
    """Yield the id and the place of each call, and what is wrong with it."""
    if not isinstance(calls, list):
        yield None, path, Complaint("bad-tool-call", "tool_calls is not an array", path)
        return
    for index, call in enumerate(calls):
        place = f"{path}[{index}]"
        call_id = call.get("id") if isinstance(call, dict) else None
        found = _flaw(call)
        complaint = None if found is None else Complaint("bad-tool-call", found, place)
        yield call_id if isinstance(call_id, str) else None, place, complaint


def _are_plain(arguments: str) -> bool:
    """Whether arguments are an object without doubt: msgspec tells faster than Python's reader, which takes more."""
    if len(arguments) > _PLAIN_CHARACTERS_MAX or arguments.count("[") + arguments.count("{") > _OPEN_MAX:
        return False
    try:
        _object(arguments)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return True


def _flaw(call: object) -> str | None:
    if not isinstance(call, dict):
        return "the call is not an object"
    function = call.get("function")
    if not isinstance(function, dict):
        return 'the call has no "function", an object of "name" and "arguments"'
    if not isinstance(function.get("name"), str) or not function["name"]:
        return 'the function of the call has no "name"'
    if call.get("id") is not None and not isinstance(call["id"], str):
        return "the id of the call is not a string"
    arguments = function.get("arguments")
    if arguments is None:
        return 'the function of the call has no "arguments"'
    if isinstance(arguments, str):
        if _are_plain(arguments):
            return None
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return "the arguments of the call are a string that is not JSON"
    return None if isinstance(arguments, dict) else "the arguments of the call are no object"
