"""The numbers about the examples of a purpose. Those of parts of the data add up to those of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.dataset.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk_upload.core.dataset.example import Example

NAMES_MAX = 200
OTHERS = "(others)"
"""Stands for the names of roles or tools beyond the first `NAMES_MAX`."""


class RoleTotals(msgspec.Struct):
    """The messages of one role, or the values of one text field."""

    message_count: int = 0
    characters: int = 0


class Longest(msgspec.Struct, frozen=True):
    """The longest example, the first one of several; `amount` is in characters or tokens."""

    path: str
    line_no: int
    amount: int


class AnswerLengths(msgspec.Struct):
    """How long chosen answers are beside the rejected ones, in characters."""

    pair_count: int = 0
    chosen_characters: int = 0
    rejected_characters: int = 0
    chosen_longer_count: int = 0
    rejected_longer_count: int = 0


class Statistics(msgspec.Struct):
    """The examples of one purpose.

    Args:
        file_count: files that were read.
        example_count: lines, rows or values that are examples of the purpose.
        other_count: those that are not: nothing below counts them.
        turns: messages per example, for purposes that have them.
        characters: of all texts of an example.
        tokens: by the user's tokenizer, without what a chat template adds; empty without a tokenizer.
        over_count: examples with more tokens than the user's limit.
        tool_example_count: examples with tools or calls of them.
        tools: calls by the name of the tool.
    """

    file_count: int = 0
    example_count: int = 0
    other_count: int = 0
    turns: Histogram = msgspec.field(default_factory=Histogram)
    characters: Histogram = msgspec.field(default_factory=Histogram)
    roles: dict[str, RoleTotals] = msgspec.field(default_factory=dict)
    longest: Longest | None = None
    tokens: Histogram = msgspec.field(default_factory=Histogram)
    longest_in_tokens: Longest | None = None
    over_count: int = 0
    tool_example_count: int = 0
    tools: dict[str, int] = msgspec.field(default_factory=dict)
    answers: AnswerLengths = msgspec.field(default_factory=AnswerLengths)

    def add(self, example: Example, path: str, line_no: int) -> None:
        """Count an example."""
        self.example_count += 1
        characters = 0
        roles = self.roles
        for role, text in example.texts:
            length = len(text)
            characters += length
            totals = roles.get(role) or self._role(role)
            totals.message_count += 1
            totals.characters += length
        for role, text in example.call_texts:
            characters += len(text)
            self._role(role).characters += len(text)
        self.characters.add(characters)
        if example.turn_count is not None:
            self.turns.add(example.turn_count)
        if self.longest is None or characters > self.longest.amount:
            self.longest = Longest(path, line_no, characters)
        if example.has_tools:
            self.tool_example_count += 1
            for name in example.tool_names:
                _count(self.tools, name, 1)
        if example.answers is not None:
            self._add_pair(*example.answers)

    def add_tokens(self, token_count: int, path: str, line_no: int) -> None:
        """Record how many tokens an example has."""
        self.tokens.add(token_count)
        if self.longest_in_tokens is None or token_count > self.longest_in_tokens.amount:
            self.longest_in_tokens = Longest(path, line_no, token_count)

    def merge(self, other: Statistics) -> None:
        """Count the examples of another part, which comes later."""
        self.file_count += other.file_count
        self.example_count += other.example_count
        self.other_count += other.other_count
        self.over_count += other.over_count
        self.tool_example_count += other.tool_example_count
        self.turns.merge(other.turns)
        self.characters.merge(other.characters)
        self.tokens.merge(other.tokens)
        self.longest = _longer(self.longest, other.longest)
        self.longest_in_tokens = _longer(self.longest_in_tokens, other.longest_in_tokens)
        for role, totals in other.roles.items():
            mine = self._role(role)
            mine.message_count += totals.message_count
            mine.characters += totals.characters
        for name, count in other.tools.items():
            _count(self.tools, name, count)
        for name in AnswerLengths.__struct_fields__:
            setattr(self.answers, name, getattr(self.answers, name) + getattr(other.answers, name))

    def _role(self, role: str) -> RoleTotals:
        return self.roles.setdefault(_known(self.roles, role), RoleTotals())

    def _add_pair(self, chosen: int, rejected: int) -> None:
        answers = self.answers
        answers.pair_count += 1
        answers.chosen_characters += chosen
        answers.rejected_characters += rejected
        answers.chosen_longer_count += chosen > rejected
        answers.rejected_longer_count += rejected > chosen


def _known(names: Mapping[str, object], name: str) -> str:
    return name if name in names or len(names) < NAMES_MAX else OTHERS


def _count(counts: dict[str, int], name: str, count: int) -> None:
    name = _known(counts, name)
    counts[name] = counts.get(name, 0) + count


def _longer(first: Longest | None, second: Longest | None) -> Longest | None:
    if first is None or second is None:
        return first or second
    return second if second.amount > first.amount else first
