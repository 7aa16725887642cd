"""What a benchmark raises to be left out."""

from __future__ import annotations


class Absent(Exception):
    """Something that this machine does not have, or that cannot do what is measured. The message says what."""
