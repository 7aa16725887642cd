"""What data is, as lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.core.dataset.histogram import Histogram
    from bulk_upload.core.dataset.statistics import Longest, Statistics
    from bulk_upload.report.dataset.survey_result import SurveyResult

BAR_WIDTH = 32
NAMES_SHOWN_MAX = 10
_INDENT = " " * 15


def survey_lines(result: SurveyResult) -> Iterator[str]:
    """Return the statistics of each purpose, and what is the same."""
    for purpose, statistics in result.statistics.items():
        yield from _purpose_lines(purpose, statistics, result.max_tokens)
    if result.comparison is not None:
        yield from _comparison_lines(result)


def _purpose_lines(purpose: str, one: Statistics, max_tokens: int | None) -> Iterator[str]:
    others = f", and {many(one.other_count, 'line')} of another shape" if one.other_count else ""
    yield f"{printable(purpose)}: {many(one.example_count, 'example')} in {many(one.file_count, 'file')}{others}"
    yield from _amount_lines("turns", one.turns)
    yield from _amount_lines("characters", one.characters, one.longest)
    yield from _amount_lines("tokens", one.tokens, one.longest_in_tokens)
    if max_tokens is not None:
        yield _line("", f"{many(one.over_count, 'example')} of more than {max_tokens:,} tokens")
    yield from role_lines(one)
    if one.tool_example_count:
        calls = ", ".join(f"{printable(name)} {count:,}" for name, count in most_frequent(one.tools))
        yield _line("tools", f"in {many(one.tool_example_count, 'example')}; calls: {calls or 'none'}")
    if one.answers.pair_count:
        yield _line("answers", answers_words(one))


def role_lines(one: Statistics) -> Iterator[str]:
    """Return the messages and characters of each role."""
    for index, (role, totals) in enumerate(one.roles.items()):
        if index == NAMES_SHOWN_MAX:
            yield _line("", f"and {len(one.roles) - index:,} more roles")
            return
        share = 100 * totals.characters / max(1, one.characters.total)
        told = (
            f"{printable(role)}: {many(totals.message_count, 'text')}, {many(totals.characters, 'character')}"
        )
        yield _line("" if index else "roles", f"{told} ({share:.0f} %)")


def answers_words(one: Statistics) -> str:
    """Return how long chosen answers are beside rejected ones: a reward may learn length in place of quality."""
    answers = one.answers
    chosen, rejected = (
        total / answers.pair_count for total in (answers.chosen_characters, answers.rejected_characters)
    )
    longer, shorter = (
        100 * count / answers.pair_count
        for count in (answers.chosen_longer_count, answers.rejected_longer_count)
    )
    return (
        f"chosen {chosen:,.0f} characters on average, rejected {rejected:,.0f}; chosen is longer in "
        f"{longer:.0f} % of {many(answers.pair_count, 'pair')}, shorter in {shorter:.0f} %"
    )


def most_frequent(counts: dict[str, int]) -> list[tuple[str, int]]:
    """Return the names with the highest counts, first ones first."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:NAMES_SHOWN_MAX]


def amount_words(amounts: Histogram) -> str:
    """Return a distribution in a sentence."""
    return (
        f"{amounts.total:,} in all, mean {amounts.mean:,.1f}, half up to {amounts.percentile(50):,}, "
        f"95 % up to {amounts.percentile(95):,}, 99 % up to {amounts.percentile(99):,}, most {amounts.most:,}"
    )


def _amount_lines(name: str, amounts: Histogram, longest: Longest | None = None) -> Iterator[str]:
    if not amounts.count:
        return
    where = "" if longest is None else f" in {printable(longest.path)}:{longest.line_no}"
    yield _line(name, amount_words(amounts) + where)
    bars = amounts.bars()
    if len(bars) == 1:
        return
    highest = max(bar.value_count for bar in bars)
    names = [f"{bar.low:,}" if bar.low == bar.high else f"{bar.low:,} - {bar.high:,}" for bar in bars]
    width = max(map(len, names))
    for said, bar in zip(names, bars, strict=True):
        length = -(-BAR_WIDTH * bar.value_count // highest)
        yield f"{_INDENT}{said:>{width}}  {'#' * length:{BAR_WIDTH}} {bar.value_count:,}".rstrip()


def _comparison_lines(result: SurveyResult) -> Iterator[str]:
    comparison = result.comparison
    if comparison is None:
        return
    yield (
        f"compared {many(result.compared_count, 'example')}: {comparison.within.count:,} repeated within a file, "
        f"{comparison.across.count:,} across files"
    )
    for repeat in result.repeats():
        yield f"  {printable(result.place(repeat.first))} = {printable(result.place(repeat.place))}"
    yield from overlap_words(result)


def overlap_words(result: SurveyResult) -> Iterator[str]:
    """Return what each group has in common with those before it."""
    for later, earlier, same, prompts in result.overlaps():
        count = result.group_example_counts.get(later, 0)
        share = f" ({100 * same / count:.1f} %)" if same else ""
        yield (
            f"{printable(result.group_names[later])} beside {printable(result.group_names[earlier])}: of "
            f"{many(count, 'example')} {same:,} in both{share}, {prompts:,} more with the same prompt"
        )


def _line(name: str, words: str) -> str:
    return f"  {name:<12} {words}"


def many(count: int, word: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
