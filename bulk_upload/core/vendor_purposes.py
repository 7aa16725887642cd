"""The purposes of other vendors' Files APIs, by profile: what such a file holds, and how large it may be.

The upload itself checks little of this: a bad file is taken, and the job that reads it fails. Sources stand beside each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bulk_upload.core.purposes import PURPOSES, Field, Kind, Purpose, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

# Pages write MB; a file that exceeds the larger of its two meanings is refused for sure.
_MB = 2**20

_CHAT = "/v1/chat/completions"
_OPENAI_URLS = (
    _CHAT,
    "/v1/responses",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/videos",
)
"""What a batch may call: platform.openai.com/docs/api-reference/batch/create."""

_AZURE_URLS = ("/chat/completions", "/responses", "/embeddings", *_OPENAI_URLS)
"""Azure's pages leave the version out: learn.microsoft.com/azure/ai-services/openai/how-to/batch."""


def _requests(
    *, urls: tuple[str, ...], lines_max: int | None, file_bytes_max: int | None, summary: str = ""
) -> Purpose:
    """Return the purpose of batch requests as OpenAI describes them."""
    model = Field(name="model", kind=Kind.STRING, required=False)
    return Purpose(
        name="batch",
        summary=summary or "requests to be answered later: `custom_id`, `method`, `url`, `body`",
        suffixes=(".jsonl",),
        schema=Schema(
            fields=(
                Field(name="custom_id", kind=Kind.STRING, unique=True),
                Field(name="method", kind=Kind.STRING, values=("POST",)),
                Field(name="url", kind=Kind.STRING, values=urls, same=True),
                Field(name="body", kind=Kind.OBJECT, fields=(model,)),
            ),
            lines_max=lines_max,
            file_bytes_max=file_bytes_max,
        ),
    )


def _anything(name: str, summary: str, documents: tuple[str, ...]) -> Purpose:
    """Return a purpose whose files may hold anything."""
    return Purpose(
        name=name, summary=summary, suffixes=(".jsonl",), schema=Schema(fields=()), documents=documents
    )


# platform.openai.com/docs/assistants/tools/file-search, "Supported files", and the image types of vision.
_DOCUMENTS = (
    ".c", ".cpp", ".cs", ".css", ".doc", ".docx", ".go", ".html", ".java", ".js", ".json", ".md", ".pdf", ".php",
    ".pptx", ".py", ".rb", ".sh", ".tex", ".ts", ".txt", ".csv", ".xlsx",
)  # fmt: skip
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp")

_ROLES = ("system", "developer", "user", "assistant", "tool")
_TOOLS = (
    Field(name="tools", kind=Kind.ARRAY, required=False),
    Field(name="parallel_tool_calls", kind=Kind.BOOLEAN, required=False),
)


def _conversations(**more: Any) -> Schema:
    """Return a schema of conversations with the roles, tools and parts that OpenAI's models know."""
    return Schema(**more, roles=_ROLES, content_parts=True, tool_calls=True)


# platform.openai.com/docs/guides/fine-tuning, "Preparing your dataset", and the guides for direct preference optimisation
# and reinforcement fine-tuning: one purpose, and the job says which it is. Lines of reinforcement end with the user and
# have further fields, which the grader reads.
_OPENAI_FINE_TUNE = Purpose(
    name="fine-tune",
    summary="`messages`; `input`, `preferred_output`, `non_preferred_output`; or `prompt`, `completion`",
    suffixes=(".jsonl",),
    schema=Schema(
        fields=(),
        alternatives=(
            _conversations(
                fields=(
                    Field(name="messages", kind=Kind.MESSAGES, ends_with="assistant"),
                    *_TOOLS,
                    Field(name="functions", kind=Kind.ARRAY, required=False),
                ),
                is_closed=True,
            ),
            _conversations(
                fields=(
                    Field(
                        name="input",
                        kind=Kind.OBJECT,
                        fields=(Field(name="messages", kind=Kind.MESSAGES), *_TOOLS),
                    ),
                    Field(name="preferred_output", kind=Kind.MESSAGES, ends_with="assistant", is_answer=True),
                    Field(
                        name="non_preferred_output", kind=Kind.MESSAGES, ends_with="assistant", is_answer=True
                    ),
                )
            ),
            Schema(
                fields=(
                    Field(name="prompt", kind=Kind.STRING),
                    Field(name="completion", kind=Kind.STRING),
                )
            ),
            _conversations(fields=(Field(name="messages", kind=Kind.MESSAGES, ends_with="user"),)),
        ),
    ),
)

# docs.mistral.ai/capabilities/finetuning/text_finetuning
_MISTRAL_FINE_TUNE = Purpose(
    name="fine-tune",
    summary="conversations to learn from: `messages`, with or without `tools`",
    suffixes=(".jsonl",),
    schema=Schema(
        fields=(
            Field(name="messages", kind=Kind.MESSAGES, ends_with="assistant"),
            Field(name="tools", kind=Kind.ARRAY, required=False),
        ),
        roles=("system", "user", "assistant", "tool"),
        tool_calls=True,
        file_bytes_max=512 * _MB,
    ),
)

_OPENAI_BATCH = _requests(urls=_OPENAI_URLS, lines_max=50_000, file_bytes_max=200 * _MB)
_ASSISTANTS = _anything("assistants", "documents for assistants and file search", (*_DOCUMENTS, *_IMAGES))

_OPENAI = (
    _OPENAI_BATCH,
    _OPENAI_FINE_TUNE,
    _ASSISTANTS,
    _anything("vision", "images", _IMAGES),
    _anything("user_data", "files for model inputs", (*_DOCUMENTS, *_IMAGES)),
    _anything("evals", "items of an evaluation", ()),
)

VENDOR_PURPOSES: Mapping[str, tuple[Purpose, ...]] = {
    "openai": _OPENAI,
    "azure": (
        _requests(urls=_AZURE_URLS, lines_max=50_000, file_bytes_max=200 * _MB),
        _OPENAI_FINE_TUNE,
        _ASSISTANTS,
    ),
    # console.groq.com/docs/batch
    "groq": (_requests(urls=(_CHAT,), lines_max=None, file_bytes_max=100 * _MB),),
    "xai": (_ASSISTANTS,),
    "llama-stack": (_requests(urls=_OPENAI_URLS, lines_max=None, file_bytes_max=None), _ASSISTANTS),
    "litellm": (_requests(urls=_OPENAI_URLS, lines_max=None, file_bytes_max=None), _ASSISTANTS),
    "mistral": (
        # docs.mistral.ai/capabilities/batch: neither `method` nor `url`; the job names the model and the endpoint.
        Purpose(
            name="batch",
            summary="requests to be answered later: `custom_id`, `body`",
            suffixes=(".jsonl",),
            schema=Schema(
                fields=(
                    Field(name="custom_id", kind=Kind.STRING, unique=True),
                    Field(name="body", kind=Kind.OBJECT),
                ),
                lines_max=1_000_000,
            ),
        ),
        _MISTRAL_FINE_TUNE,
        _anything("ocr", "documents to be read", (".pdf", ".docx", ".pptx", *_IMAGES)),
    ),
    # The API knows no purposes: this one is for manifests.
    "anthropic": (_anything("file", "any file", (*_DOCUMENTS, *_IMAGES)),),
}
"""The purposes of each built-in profile but Flow's. Names that are missing have no known schema."""


def purposes_of(profile: str) -> Mapping[str, Purpose]:
    """Return the purposes of a profile by name: those of Flow where nothing else is known."""
    described = VENDOR_PURPOSES.get(profile)
    return PURPOSES if described is None else {one.name: one for one in described}
