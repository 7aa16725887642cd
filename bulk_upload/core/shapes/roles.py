"""Other tools' names for the roles of messages."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from bulk_upload.core.shapes.json_values import encode_text, is_text, text_of
from bulk_upload.core.shapes.target import CannotConvert
from bulk_upload.core.text.wording import quoted

if TYPE_CHECKING:
    from bulk_upload.core.shapes.json_values import Json

ROLE_WORDS = {
    "human": "user",
    "prompter": "user",
    "gpt": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "chatgpt": "assistant",
    "developer": "system",
    "function": "tool",
    "observation": "tool",
}
"""Other tools' names for the API's roles, in lower case."""


def meant_role(role: str, roles: tuple[str, ...]) -> str | None:
    """Return the role that another tool's word stands for, None where that is not one of `roles`."""
    folded = role.strip().lower()
    word = folded if folded in roles else ROLE_WORDS.get(folded)
    return word if word in roles else None


@lru_cache(maxsize=1024)
def known_role(value: Json, roles: tuple[str, ...]) -> Json:
    """Return a role in the words of the target. Raises CannotConvert."""
    if not is_text(value):
        raise CannotConvert("has a role that is no text")
    role = text_of(value)
    if role in roles:
        return value
    meant = meant_role(role, roles)
    if meant is None:
        raise CannotConvert(f"has the role {quoted(role)}, and the purpose knows {', '.join(roles)} only")
    return encode_text(meant)
