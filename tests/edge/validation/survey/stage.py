"""Surveys a file as validation does."""

from __future__ import annotations

import os
from pathlib import Path

from bulk_upload.core.purposes import PURPOSES
from bulk_upload.core.validation.report import FileReport
from bulk_upload.core.validation.rules import ALL_RULES, RuleChoice
from bulk_upload.edge.validation.reading import CheckTask, check_file
from bulk_upload.edge.validation.survey.task import SurveyTask


def survey(
    path: Path, task: SurveyTask, *, purpose: str = "fine-tune", choice: RuleChoice = ALL_RULES
) -> FileReport:
    """Validate and survey a file."""
    check = CheckTask(
        path=path.name,
        purpose=PURPOSES[purpose],
        known=tuple(PURPOSES.values()),
        survey=task,
        choice=choice,
    )
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return check_file(descriptor, check)
    finally:
        os.close(descriptor)
