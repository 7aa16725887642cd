"""Finds the marks of chat templates in texts: data that was rendered once already, which training would render again.

The marks are special tokens of the models' own tokenizers and templates:

- `<|im_start|>`, `<|im_end|>`: ChatML (openai-python's chatml.md), Qwen, InternLM
- `<|begin_of_text|>`, `<|start_header_id|>`, `<|eot_id|>`, `<|eom_id|>`, `<|python_tag|>`: Llama 3 (meta-llama/llama-models)
- `[INST]`, `<<SYS>>`, `<s>`, `</s>`, `[TOOL_CALLS]`, `[AVAILABLE_TOOLS]`, `[TOOL_RESULTS]`: Llama 2 (meta-llama/llama),
  Mistral (mistral-common)
- `<start_of_turn>`, `<end_of_turn>`, `<bos>`, `<eos>`: Gemma (its tokenizer_config.json)
- `<|user|>`, `<|assistant|>`, `<|end|>`, `<|endoftext|>`: Phi, Zephyr, GPT-2
- `<|START_OF_TURN_TOKEN|>`, `<BOS_TOKEN>`: Command R
- `<|start|>`, `<|channel|>`, `<|message|>`, `<|return|>`: gpt-oss (openai/harmony)
- the same with full-width bars: DeepSeek

`<s>` and `</s>` are HTML too: they count only where a text begins or ends with them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bulk_upload.core.validation.rules import Complaint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RULE = "template-marks"

BYTES_SEARCHED_MAX = 256 * 1024
"""A file that was rendered shows it in its first lines; to look for marks in all of them takes half as long as a check."""

# Each begins with one character of its own: then the search is as fast as that for the character. The last is `<` as
# encoders for HTML write it.
_MARKS = (
    re.compile(
        rb"<(?:\|[A-Za-z_]{2,40}\|>|\xef\xbd\x9c[^\"\\<>]{2,60}\xef\xbd\x9c>|<SYS>>|(?:start|end)_of_turn>"
        rb"|[be]os>|[BE]OS_TOKEN>|s>(?<=\"<s>)|/s>(?=\"))"
    ),
    re.compile(rb"\[(?<![A-Za-z0-9_]\[)/?(?:INST|TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS)\]"),
    re.compile(rb"\\u003[cC]\|[A-Za-z_]{2,40}\|\\u003[eE]"),
)
_NAMED_MAX = 3


class TemplateMarks:
    """Looks through the first lines of a file, and through all others if one of those holds a mark."""

    def __init__(self) -> None:
        self._left = BYTES_SEARCHED_MAX
        self._is_found = False

    def complaints(self, lines: Sequence[bytes]) -> Iterator[tuple[int, list[Complaint]]]:
        """Yield the lines that hold marks, by their index."""
        if not self._is_found:
            if self._left <= 0:
                return
            lines = self._begun(lines)
        if not _has_mark(b"".join(lines)):
            return
        self._is_found = True
        for index, line in enumerate(lines):
            if _has_mark(line):
                yield index, [_complaint(line)]

    def _begun(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """Return the lines that are among the first; whole ones, so that it does not matter how a file is read."""
        for count, line in enumerate(lines, 1):
            self._left -= len(line)
            if self._left <= 0:
                return lines if _has_mark(b"".join(lines[:count])) else lines[:count]
        return lines


def _has_mark(text: bytes) -> bool:
    return any(pattern.search(text) for pattern in _MARKS)


def _complaint(line: bytes) -> Complaint:
    found = dict.fromkeys(match[0] for pattern in _MARKS for match in pattern.finditer(line))
    names = [_named(one) for one in list(found)[:_NAMED_MAX]]
    shown = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    more = " and more" if len(found) > _NAMED_MAX else ""
    return Complaint(RULE, f"the line holds {shown}{more}: marks of a chat template")


def _named(mark: bytes) -> str:
    text = mark.decode("utf-8", "replace")
    return re.sub(r"\\u003[cC]", "<", re.sub(r"\\u003[eE]", ">", text))
