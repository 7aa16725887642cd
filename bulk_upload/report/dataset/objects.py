"""What data is, as objects for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.report.json_shapes import Amounts, DataComparison, DataStatistics
from bulk_upload.core.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.core.dataset.histogram import Histogram
    from bulk_upload.core.dataset.statistics import Longest, Statistics
    from bulk_upload.report.dataset.survey_result import SurveyResult


def survey_objects(result: SurveyResult) -> Iterator[DataStatistics | DataComparison]:
    """Return an object for each purpose, and one for what was compared."""
    for purpose, statistics in result.statistics.items():
        yield _statistics(purpose, statistics, result.max_tokens)
    if result.comparison is not None:
        yield _comparison(result)


def _statistics(purpose: str, one: Statistics, max_tokens: int | None) -> DataStatistics:
    return DataStatistics(
        kind="statistics",
        purpose=purpose,
        file_count=one.file_count,
        example_count=one.example_count,
        other_count=one.other_count,
        turns=_amounts(one.turns),
        characters=_amounts(one.characters),
        tokens=_amounts(one.tokens),
        over_count=None if max_tokens is None else one.over_count,
        longest=_longest(one.longest, "characters"),
        longest_in_tokens=_longest(one.longest_in_tokens, "tokens"),
        roles={printable(role): msgspec.structs.asdict(totals) for role, totals in one.roles.items()},
        tool_example_count=one.tool_example_count,
        tools={printable(name): count for name, count in one.tools.items()},
        answers=msgspec.structs.asdict(one.answers) if one.answers.pair_count else None,
    )


def _amounts(one: Histogram) -> Amounts | None:
    if not one.count:
        return None
    return Amounts(
        total=one.total,
        mean=round(one.mean, 3),
        least=one.least,
        p50=one.percentile(50),
        p90=one.percentile(90),
        p95=one.percentile(95),
        p99=one.percentile(99),
        most=one.most,
        bars=tuple((bar.low, bar.high, bar.value_count) for bar in one.bars()),
    )


def _longest(one: Longest | None, unit: str) -> dict[str, str | int] | None:
    return None if one is None else {"file": printable(one.path), "line": one.line_no, unit: one.amount}


def _comparison(result: SurveyResult) -> DataComparison:
    comparison = result.comparison
    names = [printable(one) for one in result.group_names]
    return DataComparison(
        kind="comparison",
        example_count=result.compared_count,
        within_count=0 if comparison is None else comparison.within.count,
        across_count=0 if comparison is None else comparison.across.count,
        examples=tuple(
            {
                "file": printable(result.paths[one.place.file_no]),
                "line": one.place.line_no,
                "same_as_file": printable(result.paths[one.first.file_no]),
                "same_as_line": one.first.line_no,
            }
            for one in result.repeats()
        ),
        overlaps=tuple(
            {
                "group": names[later],
                "group_example_count": result.group_example_counts.get(later, 0),
                "beside": names[earlier],
                "example_count": same,
                "prompt_count": prompts,
            }
            for later, earlier, same, prompts in result.overlaps()
        ),
    )
