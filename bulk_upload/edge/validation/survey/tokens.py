"""Counts tokens by a tokenizer of the user's own, a local `tokenizer.json`: nothing is fetched."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bulk_upload.core.text.printable import printable
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

TOKENS_EXTRA = "tokens"
_BATCH_CHARACTERS = 256 * 1024


def check_tokenizer(path: str) -> None:
    """Raise UsageError for a tokenizer that cannot be used, or where the library to use it is missing."""
    try:
        _opened(path)
    except ImportError:
        raise UsageError(
            "tokens cannot be counted: the package tokenizers is not installed",
            hint=f"pip install 'bulk-upload[{TOKENS_EXTRA}]'",
        ) from None
    except OSError as error:
        raise UsageError(
            f"cannot read the tokenizer {printable(path)}: {error.strerror}", hint="check --tokenizer"
        ) from None
    except Exception as error:  # noqa: BLE001 - the library raises plain Exception
        raise UsageError(
            f"{printable(path)} is not a tokenizer: {printable(str(error))[:120]}",
            hint="give the tokenizer.json of the model, as the library tokenizers writes it",
        ) from None


@lru_cache(maxsize=1)
def _opened(path: str) -> Any:  # noqa: ANN401 - a library without types
    from tokenizers import Tokenizer  # noqa: PLC0415 - an extra

    with open(path, "rb") as file:
        tokenizer = Tokenizer.from_buffer(file.read())
    # Some files come with the limits of a model: they would hide what is longer.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


class TokenCounter:
    """Counts the tokens of examples, many texts at a time."""

    def __init__(self, path: str) -> None:
        self._tokenizer = _opened(path)
        self._texts: list[str] = []
        self._ends: list[tuple[int, int]] = []
        self._characters = 0

    def add(self, line_no: int, texts: Sequence[str]) -> list[tuple[int, int]]:
        """Add an example; return lines and tokens of those that were counted meanwhile."""
        self._texts += texts
        self._ends.append((line_no, len(self._texts)))
        self._characters += sum(map(len, texts))
        return self.rest() if self._characters >= _BATCH_CHARACTERS else []

    def rest(self) -> list[tuple[int, int]]:
        """Return lines and tokens of those that were not counted yet."""
        encoded = self._tokenizer.encode_batch_fast(self._texts, add_special_tokens=False)
        counts = list(map(len, encoded))
        start, found = 0, []
        for line_no, end in self._ends:
            found.append((line_no, sum(counts[start:end])))
            start = end
        self._texts, self._ends, self._characters = [], [], 0
        return found
