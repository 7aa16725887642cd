"""The table of purposes: what the server is to make of a file."""

from __future__ import annotations

from dataclasses import dataclass

from bulk_upload.core.wording import did_you_mean, quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """One purpose: its name, what such a file holds in one line, the usual file name suffixes."""

    name: str
    summary: str
    suffixes: tuple[str, ...]


# The documents an alignment job may start from: docs.seekr.com/flow/sdk/data-engine/file-ingestion
_DOCUMENTS = (".md", ".pdf", ".docx", ".doc", ".pptx", ".ppt", ".html", ".rst", ".rtf", ".txt", ".json")

PURPOSES = {
    purpose.name: purpose
    for purpose in (
        Purpose(
            name="fine-tune",
            summary="conversations to learn from: `messages` on every line",
            suffixes=(".jsonl", ".parquet"),
        ),
        Purpose(
            name="preference-fine-tune",
            summary="conversations with a chosen and a rejected answer: `messages`, `chosen`, `rejected`",
            suffixes=(".jsonl",),
        ),
        Purpose(
            name="reinforcement-fine-tune",
            summary="questions with the answer to compare with: `messages`, `reference_answer`",
            suffixes=(".jsonl",),
        ),
        Purpose(name="pre-train", summary="raw text: `text` on every line", suffixes=(".jsonl",)),
        Purpose(
            name="alignment",
            summary="conversations as for fine-tune, or documents to make them from",
            suffixes=(".jsonl", *_DOCUMENTS),
        ),
    )
}


def purpose_remedy(name: str, known: tuple[str, ...] = tuple(PURPOSES)) -> str:
    """Return what to do about a purpose name that is not in `known`."""
    return f"{did_you_mean(name, known)}Known purposes: {', '.join(known)}"


def unknown_purpose(name: str) -> str:
    """Return what is wrong with a purpose name that is not known."""
    return f"{quoted(name)} is not a known purpose"
