"""What the keys of a record show by themselves: that no conversion knows it, whatever its values."""

from __future__ import annotations

from functools import lru_cache

from bulk_upload.core.shapes.json_values import VERDICT_KEYS
from bulk_upload.core.shapes.layouts.conversation import ANSWER_KEYS
from bulk_upload.core.shapes.layouts.reinforcement import REFERENCE_KEYS, REWARD
from bulk_upload.core.shapes.names import NAMED_KEYS, PAIR_KEYS, SYSTEM_KEYS, TEXT_KEYS
from bulk_upload.core.shapes.prompts import CONTEXT_KEYS, CONVERSATION_KEYS, HISTORY_KEYS, QUESTION_KEYS
from bulk_upload.core.shapes.target import CHOSEN, MESSAGES, REFERENCE, REJECTED, TEXT, Layout

_KEYS_REMEMBERED_MAX = 1024

TELLING_KEYS = frozenset(
    {
        *NAMED_KEYS, *CONVERSATION_KEYS, *QUESTION_KEYS, *ANSWER_KEYS, *(one for pair in PAIR_KEYS for one in pair),
        *REFERENCE_KEYS, REWARD, *VERDICT_KEYS, TEXT, *TEXT_KEYS,
    }
)  # fmt: skip
"""A record with none of these keys has no name, and no layout knows it."""

READ_KEYS = frozenset(
    {*TELLING_KEYS, *SYSTEM_KEYS, *HISTORY_KEYS, *CONTEXT_KEYS, MESSAGES, CHOSEN, REJECTED, REFERENCE}
)
"""Values under other keys make no difference to conversion."""


@lru_cache(maxsize=_KEYS_REMEMBERED_MAX)
def may_be_known(keys: tuple[str, ...], layout: Layout) -> bool:
    """Whether `mapped` may know a record with these keys; where it may not, it returns None."""
    names = TELLING_KEYS.intersection(keys)
    match layout:
        case Layout.CONVERSATION:
            return (
                not names.isdisjoint(CONVERSATION_KEYS)
                or _has_pair(names)
                or not (names.isdisjoint(QUESTION_KEYS) or names.isdisjoint(ANSWER_KEYS))
            )
        case Layout.PREFERENCE:
            return _has_pair(names) or not names.isdisjoint(VERDICT_KEYS)
        case Layout.REINFORCEMENT:
            return not names.isdisjoint(REFERENCE_KEYS) or REWARD in names
        case Layout.TEXT:
            return TEXT in names or not names.isdisjoint(TEXT_KEYS)


def _has_pair(names: frozenset[str]) -> bool:
    return any(good in names and bad in names for good, bad in PAIR_KEYS)
