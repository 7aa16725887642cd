"""All dialects by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.text.wording import did_you_mean
from bulk_upload.errors import UsageError
from bulk_upload.sandbox.dialects.anthropic import ANTHROPIC
from bulk_upload.sandbox.dialects.flow import FLOW
from bulk_upload.sandbox.dialects.mistral import MISTRAL
from bulk_upload.sandbox.dialects.openai import AZURE, GROQ, LITELLM, LLAMA_STACK, OPENAI, XAI

if TYPE_CHECKING:
    from bulk_upload.sandbox.dialects.dialect import Dialect

DIALECTS: dict[str, Dialect] = {
    one.name: one for one in (FLOW, OPENAI, AZURE, GROQ, XAI, LLAMA_STACK, LITELLM, MISTRAL, ANTHROPIC)
}


def dialect_named(name: str) -> Dialect:
    """Return the dialect of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in DIALECTS:
        raise UsageError(
            f"the sandbox has no profile {name!r}",
            hint=f"{did_you_mean(name, tuple(DIALECTS))}Profiles: {', '.join(DIALECTS)}",
        )
    return DIALECTS[name]
