"""How much a rule matters is the person's decision."""

from __future__ import annotations

from bulk_upload.core.finding import Severity
from bulk_upload.core.validation.checker import Checker
from bulk_upload.core.validation.quarantine import LineSorter
from bulk_upload.core.validation.report import FileReport
from bulk_upload.core.validation.rules import ALL_RULES, RULES, RuleChoice
from tests.core.data_samples import ASSISTANT, CHAT, USER, good, line

DATA = good(CHAT, 2) + line(CHAT, messages=[USER, ASSISTANT, USER]) + good(CHAT, 1)
"""Three good lines, one that ends with the user, and one that is there twice."""


def look(choice: RuleChoice) -> FileReport:
    """Check the data by some rules."""
    checker = Checker(CHAT, where="f", choice=choice)
    checker.feed(DATA)
    checker.finish()
    return checker.report()


def raised(*rules: str) -> RuleChoice:
    """Return the choice of a person who wants these rules to be errors."""
    return RuleChoice(errors=frozenset(rules))


def test_a_raised_rule_is_an_error_everywhere() -> None:
    """In the finding, in the counts, in the reason, and for the quarantine."""
    assert look(ALL_RULES).is_valid
    report = look(raised("last-role"))
    assert not report.is_valid
    assert (report.count(Severity.ERROR), report.count(Severity.WARNING)) == (1, 1)
    assert {one.rule: one.severity for one in report.findings} == {
        "last-role": "error",
        "duplicate-line": "warning",
    }
    assert "last-role" in (report.reason(Severity.ERROR) or "")
    sorter = LineSorter(CHAT, where="f", known=(), choice=raised("last-role"))
    ((line_no, _, findings),) = sorter.sort(DATA.splitlines(keepends=True)).bad
    assert (line_no, findings[0].severity) == (3, Severity.ERROR)


def test_strict_raises_warnings_and_leaves_notes() -> None:
    """A note is about what was not checked: that is no mistake in the data."""
    strict = RuleChoice(is_strict=True)
    assert look(strict).count(Severity.ERROR) == 2
    for rule, one in RULES.items():
        expected = Severity.NOTE if one.severity is Severity.NOTE else Severity.ERROR
        assert strict.severity_of(rule) is expected


def test_what_is_ignored_is_never_an_error() -> None:
    """Whatever else the person asked for."""
    both = frozenset({"last-role", "duplicate-line"})
    report = look(RuleChoice(ignored=both, errors=both, is_strict=True))
    assert (report.is_valid, report.findings) == (True, ())


def test_results_by_other_severities_are_not_used_again() -> None:
    """Each choice has a version of its own: a ledger keeps results by it."""
    choices = [
        ALL_RULES,
        raised("last-role"),
        RuleChoice(is_strict=True),
        RuleChoice(ignored=frozenset({"last-role"})),
    ]
    assert len({one.version_of(CHAT) for one in choices}) == len(choices)
