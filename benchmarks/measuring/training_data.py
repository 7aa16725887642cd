"""Texts as people write them, for training data."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable


def texts(chance: random.Random) -> Callable[[int, int], str]:
    """Return what makes texts of so many words: sentences, lines, quotations, now and then a word that is not ASCII."""
    words = ["".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 9))) for _ in range(5000)]
    words += ["\n", '"so"', "end.\n\n", "caf\u00e9", "\u2013", "na\u00efve,"] * 60
    return lambda least, most: " ".join(chance.choices(words, k=chance.randint(least, most)))
